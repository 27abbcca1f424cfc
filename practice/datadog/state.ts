/** What the practice organisation holds. Everything is plain JSON as Datadog would answer it, kept in memory. */
import { createHash } from 'node:crypto'
import type { Json } from './wire.ts'

/** Hex that is the same for the same name. It looks like a key and opens nothing but this stand-in. */
export function hex(name: string, length: number): string {
  return createHash('sha256').update(name).digest('hex').slice(0, length)
}

/** A UUID that is the same for the same name. */
export function uuid(name: string): string {
  const digits = hex(`uuid ${name}`, 32)
  const parts = [
    digits.slice(0, 8),
    digits.slice(8, 12),
    `4${digits.slice(13, 16)}`,
    `8${digits.slice(17, 20)}`,
  ]
  return [...parts, digits.slice(20)].join('-')
}

export interface PracticeKey {
  readonly id: string
  /** The whole secret. */
  readonly secret: string
  name: string
  /** The user who made it. */
  readonly owner: string
  readonly createdAt: string
  modifiedAt: string
  scopes?: readonly string[]
}

export interface PracticeUser {
  readonly id: string
  readonly email: string
  name: string
  title: string | null
  disabled: boolean
  readonly service: boolean
  readonly roles: Set<string>
  readonly createdAt: string
  modifiedAt: string
}

export interface PracticeRole {
  readonly id: string
  name: string
  readonly permissions: Set<string>
  readonly createdAt: string
  modifiedAt: string
}

export interface MetricPoint {
  readonly metric: string
  readonly tags: readonly string[]
  /** Seconds since the epoch. */
  readonly time: number
  readonly value: number
}

/** Named like the things in Datadog's API. Tests may read and change it at any time. */
export class PracticeState {
  readonly dashboards = new Map<string, Json>()
  readonly deletedDashboards = new Map<string, Json>()
  readonly dashboardLists = new Map<number, Json & { items: { id: string; type: string }[] }>()
  readonly monitors = new Map<number, Json & { id: number }>()
  readonly downtimes = new Map<string, Json>()
  readonly webhooks = new Map<string, Json>()
  readonly slos = new Map<string, Json>()
  readonly notebooks = new Map<number, Json>()
  readonly hosts = new Map<string, Json>()
  readonly users = new Map<string, PracticeUser>()
  readonly roles = new Map<string, PracticeRole>()
  readonly permissions = new Map<string, { name: string; description: string; group: string }>()
  readonly apiKeys = new Map<string, PracticeKey>()
  readonly applicationKeys = new Map<string, PracticeKey>()
  /** Logs that were there before anybody sent one; those sent are in `intake.logs`. */
  readonly seededLogs: Json[] = []
  readonly events: Json[] = []
  readonly logPipelines = new Map<string, Json>()
  /** In their order: a log goes to the first that takes it. */
  readonly logIndexes = new Map<string, Json>()
  /** Names that no index may have again. */
  readonly deletedLogIndexes = new Set<string>()
  readonly logArchives = new Map<string, Json>()
  readonly logMetrics = new Map<string, Json>()
  readonly securityRules = new Map<string, Json>()
  /** Datadog's own record of who called its API; at most the last 10,000 calls. */
  readonly auditTrail: Json[] = []
  readonly points: MetricPoint[] = []
  /** How long a log that has arrived is not found yet, milliseconds. */
  indexingMs = 0
  /** The user whose keys are used. */
  currentUser = ''
  readonly #now: () => number
  #count = 0

  constructor(now: () => number) {
    this.#now = now
  }

  /** Milliseconds since the epoch. */
  now(): number {
    return this.#now()
  }

  /** The time as Datadog writes it. */
  timestamp(): string {
    return new Date(this.#now()).toISOString().replace('Z', '+00:00')
  }

  /** A number used for no other thing. */
  number(): number {
    return 100_000 + ++this.#count
  }

  /** Three groups of three letters, used for no other dashboard. */
  dashboardId(): string {
    const letters = createHash('sha256')
      .update(`dashboard ${this.number()}`)
      .digest('base64url')
      .toLowerCase()
    const plain = letters.replaceAll(/[^a-z0-9]/g, 'x')
    return `${plain.slice(0, 3)}-${plain.slice(3, 6)}-${plain.slice(6, 9)}`
  }

  /** The author as v1 shows people. */
  author(): { handle: string; email: string; name: string } {
    const user = this.users.get(this.currentUser)
    const email = user?.email ?? 'unknown@example.com'
    return { handle: email, email, name: user?.name ?? 'Unknown' }
  }

  addKey(kind: 'api' | 'application', name: string, scopes?: readonly string[]): PracticeKey {
    const unique = `${kind} ${name} ${this.number()}`
    const time = this.timestamp()
    const key: PracticeKey = {
      id: uuid(unique),
      secret: hex(unique, kind === 'api' ? 32 : 40),
      name,
      owner: this.currentUser,
      createdAt: time,
      modifiedAt: time,
      ...(scopes === undefined ? {} : { scopes }),
    }
    const keys = kind === 'api' ? this.apiKeys : this.applicationKeys
    keys.set(key.id, key)
    return key
  }

  addUser(
    email: string,
    of: { name: string; title?: string; service?: boolean; roles?: readonly string[] },
  ): PracticeUser {
    const time = this.timestamp()
    const user: PracticeUser = {
      id: uuid(`user ${email}`),
      email,
      name: of.name,
      title: of.title ?? null,
      disabled: false,
      service: of.service ?? false,
      roles: new Set(of.roles),
      createdAt: time,
      modifiedAt: time,
    }
    this.users.set(user.id, user)
    return user
  }

  addRole(name: string, permissions: readonly string[]): PracticeRole {
    const time = this.timestamp()
    const id = uuid(`role ${name} ${this.number()}`)
    const role = { id, name, permissions: new Set(permissions), createdAt: time, modifiedAt: time }
    this.roles.set(id, role)
    return role
  }
}
