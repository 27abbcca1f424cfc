import type { PracticePerson } from './directory.ts'

/** The sign-in page: one button per practice person, nothing to remember. `fields` come back with the choice. */
export function choicePage(of: {
  readonly title: string
  readonly action: string
  readonly people: readonly PracticePerson[]
  readonly fields: Readonly<Record<string, string>>
  readonly ask?: { readonly name: string; readonly label: string; readonly value: string }
}): string {
  const hidden = Object.entries(of.fields).map(
    ([name, value]) => `<input type="hidden" name="${escape(name)}" value="${escape(value)}">`,
  )
  const ask =
    of.ask === undefined
      ? ''
      : `<p><label>${escape(of.ask.label)} <input name="${escape(of.ask.name)}" value="${escape(of.ask.value)}"></label></p>`
  const buttons = of.people.map(
    person =>
      `<p><button name="person" value="${escape(person.sub)}">${escape(person.email)} (${escape(person.groups.join(', '))})</button></p>`,
  )
  return page(
    of.title,
    `<form method="post" action="${escape(of.action)}">${hidden.join('')}${ask}${buttons.join('')}</form>`,
  )
}

export function messagePage(title: string, text: string): string {
  return page(title, `<p>${escape(text)}</p>`)
}

function page(title: string, body: string): string {
  const style =
    'body{font:16px system-ui;max-width:30rem;margin:4rem auto}button{font:inherit;width:100%;padding:.6rem}'
  return `<!doctype html><html lang="en"><meta charset="utf-8"><title>${escape(title)}</title><style>${style}</style><h1>${escape(title)}</h1>${body}<p><small>Practice identity provider: never for real use.</small></p></html>`
}

function escape(text: string): string {
  return text.replaceAll(/[&<>"']/g, character => `&#${character.charCodeAt(0)};`)
}
