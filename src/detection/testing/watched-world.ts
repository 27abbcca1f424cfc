/** A gateway's watch without a gateway: time, a log and sessions of its own. */
import { detectionSection } from '../../config/detection.ts'
import type { Action } from '../../model/action.ts'
import type { Connection } from '../../model/connection.ts'
import { type Decision, noObligations } from '../../model/decision.ts'
import type { Subject } from '../../model/subject.ts'
import { MemoryState } from '../../storage/memory/memory-state.ts'
import { Detection } from '../detection.ts'
import { createRestrictionGuard } from '../restriction-guard.ts'
import { Restrictions } from '../restrictions.ts'

export const permitted: Decision = {
  effect: 'permit',
  reason: 'rule-allowed',
  rule: 'r',
  matched: ['r'],
  shadow: [],
  obligations: noObligations,
  policyVersion: 'sha256:x',
}

export const agent: Subject = {
  issuer: 'https://issuer.example.com',
  id: 'agent-7',
  kind: 'agent',
  groups: [],
  method: 'oidc',
  claims: {},
  onBehalfOf: { issuer: 'https://issuer.example.com', id: 'ana', email: 'ana@example.com' },
}

export const person = (id: string): Subject => ({
  issuer: 'https://issuer.example.com',
  id,
  email: `${id}@example.com`,
  kind: 'user',
  groups: [],
  method: 'oidc',
  claims: {},
})

export interface Noted {
  readonly kind: string
  readonly [attribute: string]: unknown
}

export interface Done {
  readonly operation?: string
  readonly connection?: string
  readonly risk?: Action['risk']
  readonly subject?: Subject
  readonly denied?: boolean
  readonly bytes?: number
  readonly rows?: number
}

/** A Monday at noon, UTC. */
export const monday = Date.UTC(2026, 10, 2, 12)

export function sessionOf(subject: Subject, name: string) {
  const connection = { name, protocol: 'http', sensitivity: 'high' }
  const target: Connection = {
    ...connection,
    sensitivity: 'high',
    labels: {},
    credential: {},
    settings: {},
  }
  const client = { ip: '127.0.0.1', port: 1 }
  return { id: `s_${subject.id}_${name}`, subject, target, connection, client }
}

type WatchedSession = ReturnType<typeof sessionOf>

let actions = 0

export function actionOf({ operation = 'v1.listMonitors', risk = 'read' }: Done): Action {
  return {
    id: `a_${actions++}`,
    operation,
    known: true,
    risk,
    resource: '',
    content: {},
    digest: () => '',
    facts: {},
  }
}

export function watchedWorld(config: unknown = {}, state = new MemoryState()) {
  const clock = { time: monday, now: () => clock.time }
  const notes: Noted[] = []
  const killed: string[] = []
  const logged: string[] = []
  const sessions = new Map<string, WatchedSession>()
  let full = false
  const audit = {
    note(kind: string, attributes: Readonly<Record<string, unknown>>) {
      if (full) return Promise.reject(new Error('the log is full'))
      notes.push({ ...attributes, kind })
      return Promise.resolve({ index: notes.length, id: `log/${notes.length}` })
    },
  }

  /** `starting` is called when restrictions are taken up, and what was learned is about to be. */
  async function open(starting: () => void = () => undefined) {
    const said = (message: string): void => void logged.push(message)
    const logger = { info: said, warn: said, error: said }
    const restrictions = new Restrictions({ state, audit, clock, logger })
    await restrictions.start()
    const detection = new Detection({
      config: detectionSection.parse(config),
      state,
      audit,
      clock,
      restrictions,
      logger,
    })
    starting()
    detection.start()
    await detection.loaded()
    const guard = createRestrictionGuard<WatchedSession>({
      restrictions,
      clock,
      sessions: {
        list: () => [...sessions.values()],
        kill(session) {
          sessions.delete(session.id)
          killed.push(session.id)
          return Promise.resolve()
        },
      },
    })
    /** One action from its decision to its end; the decision after both guards. */
    function act(of: Done = {}): Decision {
      const session = sessionOf(of.subject ?? agent, of.connection ?? 'datadog')
      sessions.set(session.id, session)
      const action = actionOf(of)
      const asked: Decision =
        of.denied === true ? { ...permitted, effect: 'deny', reason: 'rule-denied' } : permitted
      const decision = guard.inspect(action, detection.inspect(action, asked, session), session)
      const success = decision.effect === 'permit'
      const passed = success ? { bytesIn: 0, bytesOut: of.bytes ?? 0, rows: of.rows ?? 0 } : nothing
      const outcome = success ? ('success' as const) : ('denied' as const)
      const ended = { session, action, outcome, forwarded: success, ...passed }
      detection.ended(ended)
      guard.ended(ended)
      return decision
    }

    const found = async (detector?: string): Promise<Noted[]> => {
      await detection.settled()
      return notes.filter(({ kind }) => kind.startsWith(`detection.${detector ?? ''}`))
    }
    const stop = async (): Promise<void> => {
      await detection.stop()
      await restrictions.stop()
    }
    return { detection, restrictions, guard, act, found, stop }
  }

  return { clock, notes, killed, logged, sessions, open, state, fill: (is: boolean) => void (full = is) }
}

const nothing = { bytesIn: 0, bytesOut: 0, rows: 0 }
