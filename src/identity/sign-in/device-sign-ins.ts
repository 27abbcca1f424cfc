/**
 * Terminals that wait until a person lets them in with a browser (RFC 8628). In memory, like sign-ins on their way
 * through a provider: a restart forgets them, and whoever waits begins again. A code is decided once and redeemed once.
 */
import { hash, randomBytes, randomInt } from 'node:crypto'
import type { ClientFacts } from '../../audit/audit.ts'
import type { Clock } from '../../clock.ts'
import type { Subject } from '../../model/subject.ts'

export const deviceLastsMs = 10 * 60_000
/** A terminal asks no oftener; one that does has to wait longer (section 3.5). */
export const deviceIntervalMs = 2000
const slowerMs = 5000
const most = 2000
/** Section 6.1: consonants, so that no code is a word, and none of them is taken for a digit. */
const letters = 'BCDFGHJKLMNPQRSTVWXZ'
const codeLength = 8

/** Who let a terminal in, and where they had signed in themselves. */
export interface DeviceApproval {
  readonly subject: Subject
  readonly provider: string
  readonly from: ClientFacts
}

/** A terminal that waits, as its page shows it. */
export interface WaitingDevice {
  /** As people read it: `BCDF-GHJK`. */
  readonly userCode: string
  /** Where the terminal asked from. */
  readonly client: ClientFacts
  readonly asked: number
}

interface Waiting extends WaitingDevice {
  readonly until: number
  intervalMs: number
  polledAt: number
  decision?: DeviceApproval | 'refused'
}

export type DevicePoll =
  | { readonly state: 'pending' | 'slow-down' | 'refused' | 'expired' }
  | { readonly state: 'approved'; readonly by: DeviceApproval; readonly client: ClientFacts }

export class DeviceSignIns {
  readonly #clock: Clock
  /** By the hash of the device code, oldest first. */
  readonly #waiting = new Map<string, Waiting>()
  readonly #byCode = new Map<string, Waiting>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Undefined where too many wait already. `deviceCode` is for the terminal alone, the user code for the person. */
  begin(client: ClientFacts): { readonly deviceCode: string; readonly userCode: string } | undefined {
    const now = this.#clock.now()
    for (const [key, each] of this.#waiting) {
      if (each.until > now) break
      this.#forget(key, each)
    }
    if (this.#waiting.size >= most) return undefined
    const deviceCode = randomBytes(32).toString('base64url')
    let code = randomCode()
    while (this.#byCode.has(code)) code = randomCode()
    const waiting: Waiting = {
      userCode: `${code.slice(0, 4)}-${code.slice(4)}`,
      client,
      asked: now,
      until: now + deviceLastsMs,
      intervalMs: deviceIntervalMs,
      polledAt: Number.NEGATIVE_INFINITY,
    }
    this.#waiting.set(keyOf(deviceCode), waiting)
    this.#byCode.set(code, waiting)
    return { deviceCode, userCode: waiting.userCode }
  }

  /** The terminal of a code that nobody has decided on; written in any case, with or without the hyphen. */
  find(userCode: string): WaitingDevice | undefined {
    const found = this.#byCode.get(plainCode(userCode))
    return found !== undefined && found.until > this.#clock.now() ? found : undefined
  }

  /** Decides, once: of two who decide the second finds nobody waiting. */
  decide(userCode: string, decision: DeviceApproval | 'refused'): WaitingDevice | undefined {
    const found = this.find(userCode)
    if (found === undefined) return undefined
    const code = plainCode(userCode)
    this.#byCode.get(code)!.decision = decision
    this.#byCode.delete(code)
    return found
  }

  /** What has become of it. A decision is told once; afterwards the device code is none. */
  poll(deviceCode: string): DevicePoll {
    const key = keyOf(deviceCode)
    const found = this.#waiting.get(key)
    const now = this.#clock.now()
    if (found === undefined || found.until <= now) {
      if (found !== undefined) this.#forget(key, found)
      return { state: 'expired' }
    }
    if (found.decision === undefined) {
      const early = now - found.polledAt < found.intervalMs
      found.polledAt = now
      if (early) found.intervalMs += slowerMs
      return { state: early ? 'slow-down' : 'pending' }
    }
    this.#forget(key, found)
    if (found.decision === 'refused') return { state: 'refused' }
    return { state: 'approved', by: found.decision, client: found.client }
  }

  #forget(key: string, { userCode }: Waiting): void {
    this.#waiting.delete(key)
    this.#byCode.delete(plainCode(userCode))
  }
}

function randomCode(): string {
  return Array.from({ length: codeLength }, () => letters[randomInt(letters.length)]).join('')
}

function plainCode(userCode: string): string {
  return userCode
    .slice(0, 64)
    .toUpperCase()
    .replaceAll(/[^A-Z]/g, '')
}

function keyOf(deviceCode: string): string {
  return hash('sha256', deviceCode, 'hex')
}
