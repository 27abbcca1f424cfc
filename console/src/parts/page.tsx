import { type ReactNode, useEffect } from 'react'

/** The frame of every page: its title, what can be done with it, and its content. */
export function Page({
  title,
  about,
  tools,
  children,
}: {
  readonly title: string
  readonly about?: ReactNode
  readonly tools?: ReactNode
  readonly children: ReactNode
}) {
  useEffect(() => {
    document.title = `${title} · Sallyport`
  }, [title])
  return (
    <div className="page">
      <header className="page-head">
        <h1>{title}</h1>
        {tools !== undefined && <div className="page-tools">{tools}</div>}
      </header>
      {about !== undefined && <p className="page-about">{about}</p>}
      {children}
    </div>
  )
}

/** A titled part of a page. `flush`: its content goes to the edges, as tables do. */
export function Panel({
  title,
  tools,
  flush = false,
  children,
}: {
  readonly title: ReactNode
  readonly tools?: ReactNode
  readonly flush?: boolean
  readonly children: ReactNode
}) {
  return (
    <section className="panel">
      <div className="panel-head">
        <h2>{title}</h2>
        {tools}
      </div>
      <div className={flush ? 'scroll-x' : 'panel-body'}>{children}</div>
    </section>
  )
}

export type Fact = readonly [name: string, value: ReactNode]

/** Names and values; a fact without a value is left out. */
export function Facts({ of }: { readonly of: readonly Fact[] }) {
  return (
    <dl className="facts">
      {of
        .filter(([, value]) => value !== undefined && value !== null && value !== '' && value !== false)
        .flatMap(([name, value]) => [<dt key={name}>{name}</dt>, <dd key={`${name}=`}>{value}</dd>])}
    </dl>
  )
}
