/** A world for the tests of this folder: a clock that tests move, a store that yields and can fail, the notes taken. */
import type { EntryRef } from '../../audit/audit.ts'
import type { EventKind } from '../../audit/events.ts'
import { GatewayError } from '../../errors.ts'
import type { ApprovalTerms } from '../../model/decision.ts'
import type { Subject } from '../../model/subject.ts'
import { MemoryState } from '../../storage/memory/memory-state.ts'
import type { Approval } from '../approval.ts'
import { Approvals, type Asked } from '../approvals.ts'
import type { FindEntry } from '../../audit/records.ts'

export const terms: ApprovalTerms = {
  rule: 'ask-first',
  approvers: ['group:sre', 'user:cleo@example.com'],
  quorum: 1,
  distinctGroups: false,
  expiresAfterMs: 60_000,
  usableForMs: 30_000,
  reasonRequired: false,
  whenHeld: 'resubmit',
  onChange: 'ask',
}

export function person(id: string, groups: readonly string[] = ['sre']): Subject {
  const email = `${id}@example.com`
  return { issuer: 'https://idp', id, email, kind: 'user', groups, method: 'oidc', claims: {} }
}

export const ana = person('ana')
export const agent: Subject = {
  ...person('triage', []),
  kind: 'agent',
  onBehalfOf: { issuer: 'https://idp', id: 'ana', email: 'ana@example.com' },
}

export function asked(change: Partial<Asked> = {}): Asked {
  return {
    requester: agent,
    session: 's_1',
    connection: { name: 'datadog-prod', protocol: 'datadog', sensitivity: 'high', version: 'c1' },
    operation: 'v1.updateMonitor',
    risk: 'write',
    resource: '/api/v1/monitor/1',
    digest: 'd1',
    policyVersion: 'sha256:p1',
    terms,
    ...change,
  }
}

export function ask(approvals: Approvals, change: Partial<Asked> = {}): Promise<Approval> {
  return approvals.request(asked(change), async () => ({ request: { method: 'PUT' } }))
}

export interface Note {
  readonly kind: EventKind
  readonly id: string
  readonly facts: Readonly<Record<string, unknown>>
}

/** Which call it strikes, after how many more, and whether that call took effect all the same. */
export type Fault = { readonly of: 'put' | 'note'; readonly after: number; readonly took: boolean }

const yieldOnce = (): Promise<void> => new Promise(resolve => setImmediate(resolve))

/** State that takes a turn of the loop for each call, as a disk does, and fails when told to. */
class YieldingState extends MemoryState {
  strike: (of: 'put') => Fault | undefined = () => undefined

  override async get<T>(space: string, key: string) {
    await yieldOnce()
    return await super.get<T>(space, key)
  }

  // oxlint-disable-next-line max-params -- the interface's own
  override async put<T>(space: string, key: string, value: T, expected: number): Promise<boolean> {
    await yieldOnce()
    const fault = this.strike('put')
    const done = fault?.took === false ? false : await super.put(space, key, value, expected)
    if (fault !== undefined) throw new GatewayError('internal', { internal: 'struck put' })
    return done
  }
}

export class World {
  now = 1_800_000_000_000
  readonly notes: Note[] = []
  readonly clock = { now: (): number => this.now }
  /** The next fault; struck once. */
  fault: Fault | undefined
  failNotes = false
  readonly state = new YieldingState()
  readonly audit = {
    note: async (kind: EventKind, facts: Readonly<Record<string, unknown>>): Promise<EntryRef> => {
      await yieldOnce()
      if (this.failNotes) throw new GatewayError('recording-unavailable')
      const fault = this.#strike('note')
      if (fault?.took !== false) {
        const { id } = (facts['approval'] ?? {}) as { id?: string }
        this.notes.push({ kind, id: id ?? '', facts: structuredClone(facts) })
      }
      if (fault !== undefined) throw new GatewayError('recording-unavailable')
      return { index: this.notes.length, id: '' }
    },
  }
  readonly findEntry: FindEntry = async ({ id, kind, revision }) => {
    await yieldOnce()
    return this.notes.some(
      note => note.id === id && note.kind === kind && note.facts['revision'] === revision,
    )
  }
  approvals = this.#open()

  constructor() {
    this.state.strike = of => this.#strike(of)
  }

  #open(): Approvals {
    const { state, audit, clock, findEntry } = this
    return new Approvals({ state, audit, clock, findEntry })
  }

  move(ms: number): void {
    this.now += ms
  }

  /** A new process over what the old one left: nothing in memory, no timer running. */
  async restart(): Promise<Approvals> {
    this.approvals.stop()
    this.approvals = this.#open()
    await this.approvals.start()
    return this.approvals
  }

  kindsOf(id: string): EventKind[] {
    return this.notes.filter(note => note.id === id).map(note => note.kind)
  }

  #strike(of: Fault['of']): Fault | undefined {
    const { fault } = this
    if (fault === undefined || fault.of !== of) return undefined
    this.fault = fault.after > 0 ? { ...fault, after: fault.after - 1 } : undefined
    return fault.after > 0 ? undefined : fault
  }
}

export const code =
  (expected: string) =>
  (error: unknown): boolean =>
    error instanceof GatewayError && error.code === expected
