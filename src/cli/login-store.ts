import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { dirname, join } from 'node:path'

/** What `sallyport login` keeps, readable by its user only. */
export interface Login {
  readonly url: string
  readonly token: string
  /** Milliseconds since the epoch. */
  readonly expiresAt: number
  readonly refreshToken?: string
  readonly issuer: string
  readonly clientId: string
}

/** Gets a new token for a login that has ended; set by the login command, which knows OAuth. */
export type Refresh = (login: Login) => Promise<Login | undefined>

let refresh: Refresh = () => Promise.resolve(undefined)

export function onRefresh(how: Refresh): void {
  refresh = how
}

function file(): string {
  const base = process.env['XDG_CONFIG_HOME'] ?? join(homedir(), '.config')
  return join(base, 'sallyport', 'login.json')
}

export async function readLogin(): Promise<Login | undefined> {
  try {
    return JSON.parse(await readFile(file(), 'utf8')) as Login
  } catch {
    return undefined
  }
}

export async function writeLogin(login: Login): Promise<void> {
  await mkdir(dirname(file()), { recursive: true, mode: 0o700 })
  const next = `${file()}.${process.pid}`
  await writeFile(next, JSON.stringify(login), { mode: 0o600 })
  await rename(next, file())
}

export async function removeLogin(): Promise<void> {
  await rm(file(), { force: true })
}

/** The kept token for this gateway, renewed when it has less than a minute left; undefined without one. */
export async function refreshLogin(url: string): Promise<string | undefined> {
  const login = await readLogin()
  if (login === undefined || login.url.replace(/\/+$/, '') !== url.replace(/\/+$/, '')) return undefined
  if (login.expiresAt - 60_000 > Date.now()) return login.token
  const renewed = await refresh(login).catch(() => undefined)
  if (renewed === undefined) return login.expiresAt > Date.now() ? login.token : undefined
  await writeLogin(renewed)
  return renewed.token
}
