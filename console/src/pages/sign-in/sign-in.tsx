import { useQuery } from '@tanstack/react-query'
import { getRouteApi } from '@tanstack/react-router'
import { useEffect } from 'react'
import { providersQuery } from '../../api/queries.ts'
import { Empty, Shown } from '../../parts/states.tsx'

const route = getRouteApi('/sign-in')

/** Where the browser comes back to: `to` is an address of the console's own, without the folder that it lives in. */
function returnTo(to = '/'): string {
  return import.meta.env.BASE_URL + to.replace(/^\/+/, '')
}

/** The ways to sign in. The console itself sees no password: each leads to a page of whoever checks one. */
export function SignIn() {
  const { to } = route.useSearch()
  const providers = useQuery(providersQuery)
  useEffect(() => {
    document.title = 'Sign in · Sallyport'
  }, [])
  return (
    <main className="sign-in">
      <div className="panel sign-in-box">
        <img src={`${import.meta.env.BASE_URL}favicon.svg`} width="40" height="40" alt="" />
        <h1>Sallyport</h1>
        <p className="soft">See, decide, search and replay what agents do.</p>
        <Shown of={providers} lines={2}>
          {found =>
            found.length === 0 ? (
              <Empty title="Nobody can sign in here yet">
                Name an identity provider under <code>sign_in</code> in the configuration.
              </Empty>
            ) : (
              <ul className="stack sign-in-ways">
                {found.map(({ id, label, url }, index) => (
                  <li key={id}>
                    <a
                      className="button"
                      data-tone={index === 0 ? 'main' : 'plain'}
                      href={`${url}?return_to=${encodeURIComponent(returnTo(to))}`}
                    >
                      {label}
                    </a>
                  </li>
                ))}
              </ul>
            )
          }
        </Shown>
      </div>
    </main>
  )
}
