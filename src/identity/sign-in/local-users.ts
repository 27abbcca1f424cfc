/**
 * People with a password of the gateway's own: for a first start, and where there is no identity provider. They are
 * invited by a link that works once; the store has hashes of links and passwords alone.
 */
import { hash, randomBytes, scrypt, timingSafeEqual } from 'node:crypto'
import type { Clock } from '../../clock.ts'
import { GatewayError } from '../../errors.ts'
import { newId } from '../../id.ts'
import type { Subject } from '../../model/subject.ts'
import type { StateStore } from '../../storage/storage.ts'
import { isPlainText } from '../claim.ts'
import type { Role } from '../roles.ts'

const userSpace = 'local-user'
const inviteSpace = 'local-invite'
export const localIssuer = 'sallyport'
const leastPassword = 12
const mostPassword = 200
/** RFC 7914 and OWASP's least for scrypt: 128 MiB of memory for each try. */
const cost = { N: 2 ** 17, r: 8, p: 1, maxmem: 256 * 1024 * 1024 }

export interface LocalUser {
  readonly id: string
  /** Lower case; the name to sign in by. */
  readonly email: string
  readonly name?: string
  readonly groups: readonly string[]
  /** On top of what `roles` of the configuration gives. */
  readonly roles: readonly Role[]
  readonly created: number
}

interface StoredUser extends LocalUser {
  readonly password?: { readonly salt: string; readonly hash: string }
}

interface Invite {
  readonly email: string
  readonly expires: number
}

export interface NewUser {
  readonly email: string
  readonly name?: string
  readonly groups?: readonly string[]
  readonly roles?: readonly Role[]
}

export class LocalUsers {
  readonly #state: StateStore
  readonly #clock: Clock
  /** One at a time: each takes much memory on purpose. */
  #hashing: Promise<unknown> = Promise.resolve()
  #waiting = 0

  constructor(parts: { readonly state: StateStore; readonly clock: Clock }) {
    this.#state = parts.state
    this.#clock = parts.clock
  }

  /** Whether there is anybody who could sign in. */
  async isEmpty(): Promise<boolean> {
    const users = await this.#state.list<StoredUser>(userSpace, { limit: 100 })
    return users.every(({ value }) => value.password === undefined)
  }

  async list(): Promise<readonly (LocalUser & { readonly active: boolean })[]> {
    const users = await this.#state.list<StoredUser>(userSpace)
    return users.map(({ value: { password, ...user } }) => ({ ...user, active: password !== undefined }))
  }

  /** Makes the user, or changes roles and groups of one that is there, and gives the secret of a link that works once. */
  async invite(
    input: NewUser,
    lastsMs: number,
  ): Promise<{ readonly secret: string; readonly user: LocalUser }> {
    const email = input.email.trim().toLowerCase()
    if (!isPlainText(email, 320) || !email.includes('@'))
      throw new GatewayError('invalid-request', { detail: 'an e-mail address is needed' })
    const found = await this.#state.get<StoredUser>(userSpace, email)
    const now = this.#clock.now()
    const { name, groups = [], roles = ['user'] } = input
    const user: StoredUser = {
      ...(found?.value ?? { id: newId('usr', now), created: now }),
      email,
      groups,
      roles,
      ...(name === undefined ? {} : { name }),
    }
    if (!(await this.#state.put(userSpace, email, user, found?.version ?? 0)))
      throw new GatewayError('conflict', { detail: 'the user is being changed by others' })
    for (const each of await this.#state.list<Invite>(inviteSpace))
      if (each.value.expires <= now) await this.#state.delete(inviteSpace, each.key)
    const secret = randomBytes(32).toString('base64url')
    const invite: Invite = { email, expires: now + lastsMs }
    await this.#state.put(inviteSpace, hash('sha256', secret, 'hex'), invite, 0)
    const { password: _, ...shown } = user
    return { secret, user: shown }
  }

  /** For whom a link is; undefined for one that was used, is too old, or never was. */
  async invited(secret: string): Promise<string | undefined> {
    const found = await this.#state.get<Invite>(inviteSpace, hash('sha256', secret, 'hex'))
    return found !== undefined && found.value.expires > this.#clock.now() ? found.value.email : undefined
  }

  /** Uses a link up and sets the password. Of several tries at once exactly one gets through. */
  async accept(secret: string, password: string): Promise<Subject | undefined> {
    if (password.length < leastPassword || password.length > mostPassword)
      throw new GatewayError('invalid-request', {
        detail: `a password has ${leastPassword} to ${mostPassword} characters`,
      })
    const key = hash('sha256', secret, 'hex')
    const found = await this.#state.get<Invite>(inviteSpace, key)
    if (found === undefined || found.value.expires <= this.#clock.now()) return undefined
    const used = { ...found.value, expires: 0 }
    if (!(await this.#state.put(inviteSpace, key, used, found.version))) return undefined
    await this.#state.delete(inviteSpace, key)
    const user = await this.#state.get<StoredUser>(userSpace, found.value.email)
    if (user === undefined) return undefined
    const salt = randomBytes(16)
    const digest = await this.#hash(password, salt)
    const stored = {
      ...user.value,
      password: { salt: salt.toString('base64'), hash: digest.toString('base64') },
    }
    if (!(await this.#state.put(userSpace, user.value.email, stored, user.version))) return undefined
    return subjectOf(stored)
  }

  /** The person with this password. Takes as long for an address that nobody has. */
  async check(email: string, password: string): Promise<Subject | undefined> {
    if (password.length > mostPassword || email.length > 320) return undefined
    const found = await this.#state.get<StoredUser>(userSpace, email.trim().toLowerCase())
    const stored = found?.value.password
    const digest = await this.#hash(
      password,
      Buffer.from(stored?.salt ?? 'AAAAAAAAAAAAAAAAAAAAAA==', 'base64'),
    )
    const good = stored !== undefined && timingSafeEqual(digest, Buffer.from(stored.hash, 'base64'))
    return good ? subjectOf(found!.value) : undefined
  }

  /** The person as they are now; undefined where they were removed: a session does not outlive its user. */
  async subject(email: string): Promise<Subject | undefined> {
    const found = await this.#state.get<StoredUser>(userSpace, email.toLowerCase())
    return found?.value.password === undefined ? undefined : subjectOf(found.value)
  }

  /** Forgets the user and every open link; false where there was none. */
  async remove(email: string): Promise<boolean> {
    const key = email.trim().toLowerCase()
    const there = (await this.#state.get(userSpace, key)) !== undefined
    if (there) await this.#state.delete(userSpace, key)
    for (const each of await this.#state.list<Invite>(inviteSpace))
      if (each.value.email === key) await this.#state.delete(inviteSpace, each.key)
    return there
  }

  async #hash(password: string, salt: Buffer): Promise<Buffer> {
    if (this.#waiting >= 20) throw new GatewayError('too-many-requests')
    this.#waiting++
    const before = this.#hashing
    const run = (async () => {
      await before.catch(() => undefined)
      return await new Promise<Buffer>((done, failed) =>
        scrypt(password.normalize('NFKC'), salt, 32, cost, (error, key) =>
          error ? failed(error) : done(key),
        ),
      )
    })()
    this.#hashing = run
    return await run.finally(() => this.#waiting--)
  }
}

function subjectOf({ id, email, name, groups, roles }: StoredUser): Subject {
  return {
    issuer: localIssuer,
    id,
    email,
    kind: 'user',
    groups,
    method: 'password',
    claims: { roles },
    ...(name === undefined ? {} : { name }),
  }
}

/** The roles that a person of the gateway's own brings along. Nobody else's claims are looked at. */
export function ownRoles(subject: Subject): readonly Role[] {
  const { issuer, method, kind, claims } = subject
  if (issuer !== localIssuer || method !== 'password' || kind !== 'user') return []
  return claims['roles'] as readonly Role[]
}
