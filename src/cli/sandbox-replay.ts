/** A recorded session done again against a sandbox, under the policy in force or another one, and what comes of it. */
import type { RecordedExchange, Reenactor, Stage, ToldExchange } from '../gateway/reenact.ts'
import { type Changes, compareStates, describeState } from '../model/compare.ts'
import { countMasked } from '../model/masked-text.ts'
import type { ApiClient } from './client.ts'
import { exit, Failure } from './failure.ts'
import { beforeOf, readAction, type RecordedAction, type RecordedSession } from './recorded-session.ts'

export interface SandboxStep {
  readonly entry: RecordedExchange['entry']
  readonly judged: Judged
  /** What was asked of the sandbox; undefined: nothing, for `why`. */
  readonly sent?: { readonly words: string; readonly answer: string; readonly ok: boolean }
  readonly why?: string
  readonly kind?: 'create' | 'update' | 'delete'
  /** Of the object, in the sandbox, before and after. */
  readonly changes?: Changes
}

export interface Judged {
  readonly before?: string
  /** One effect, or every one that is possible. */
  readonly after: readonly string[]
  readonly rule?: string
  readonly unknown: readonly { readonly rule: string; readonly needs: readonly string[] }[]
}

export interface SandboxRun {
  readonly version: string
  readonly seeded: readonly string[]
  /** Objects in which a mask hid something: their sandbox copies hold the marks. */
  readonly masked: readonly string[]
  readonly steps: readonly SandboxStep[]
}

export interface SandboxParts {
  readonly api: ApiClient
  readonly reenactor: Reenactor
  readonly session: RecordedSession
  readonly stage: Stage
  readonly identity: string | undefined
  /** The text of a policy in place of the one in force. */
  readonly policy: string | undefined
}

type Told = RecordedAction & { readonly told: ToldExchange | { readonly unable: string } }

export async function runInSandbox(parts: SandboxParts): Promise<SandboxRun> {
  const { reenactor, session, stage } = parts
  if (!(await stage.isSandbox().catch(() => false)))
    throw new Failure(
      'nothing at this address says that it is a sandbox, so nothing is sent there: start `script/practice-datadog --sandbox`',
      exit.usage,
    )
  const told = session.actions.map(each => ({ ...each, told: reenactor.tell(each.exchange) }))
  const { seeded, masked } = await seed(parts, told)
  const { version, actions: judged } = await judge(parts, told)
  const names = new Map<string, string>()
  const steps: SandboxStep[] = []
  for (const [i, each] of told.entries()) steps.push(await step(parts, { each, judged: judged[i]!, names }))
  return { version, seeded, masked, steps }
}

/** Puts every object at its place as it was before the session first changed it, as far as that was recorded. */
async function seed({ api, reenactor, stage, identity }: SandboxParts, told: readonly Told[]) {
  const known = new Set<string>()
  const seeded: string[] = []
  const masked: string[] = []
  const plant = async (place: string, state: unknown): Promise<void> => {
    known.add(place)
    await stage.plant(place, state)
    seeded.push(place)
    if (countMasked(state) > 0) masked.push(place)
  }
  for (const { exchange, told: one } of told) {
    if ('unable' in one) continue
    for (const { place, state } of one.seen) if (!known.has(place)) await plant(place, state)
    const { change } = one
    if (change?.place === undefined || known.has(change.place)) continue
    const before = beforeOf(exchange.entry)
    const read = before === undefined ? undefined : await readAction(api, before, identity)
    const found = read && reenactor.stateOf(read.exchange)
    if (found !== undefined && 'state' in found) await plant(change.place, found.state)
    // From here on it is what the session made of it.
    else if (one.succeeded) known.add(change.place)
  }
  return { seeded, masked }
}

const perCall = 50
/** Requests together, under the API's limit of a body. */
const mostBytes = 400_000

async function judge({ api, session, policy }: SandboxParts, told: readonly Told[]) {
  const actions: Judged[] = []
  let version = ''
  for (let from = 0; from < told.length; ) {
    const asked: unknown[] = []
    let bytes = 0
    for (const { exchange, told: one } of told.slice(from, from + perCall)) {
      // What a mask hid may be the very thing that a condition asks for.
      const request = 'unable' in one || countMasked(one.content) > 0 ? undefined : one.content
      const length = request === undefined ? 0 : Buffer.byteLength(JSON.stringify(request))
      const fits = length <= mostBytes
      if (fits && bytes + length > mostBytes && asked.length > 0) break
      bytes += fits ? length : 0
      asked.push({ entry: exchange.entry.seq, ...(request !== undefined && fits ? { request } : {}) })
    }
    const answer = await api.call<{ version: string; actions: Judged[] }>(
      `/sessions/${encodeURIComponent(session.id)}/rejudge`,
      { method: 'POST', body: { actions: asked, ...(policy === undefined ? {} : { policy }) } },
    )
    version = answer.version
    actions.push(...answer.actions)
    from += asked.length
  }
  return { version, actions }
}

interface StepParts {
  readonly each: Told
  readonly judged: Judged
  /** What the sandbox calls objects that the session made. */
  readonly names: Map<string, string>
}

async function step(
  { reenactor, stage }: SandboxParts,
  { each, judged, names }: StepParts,
): Promise<SandboxStep> {
  const { exchange, told } = each
  const { entry } = exchange
  const base = { entry, judged }
  if (entry.risk === 'read') return base
  const why = whyNot(each, judged)
  if (why !== undefined || 'unable' in told) return { ...base, ...(why === undefined ? {} : { why }) }
  const call = reenactor.renamed(told.call, names)
  const { change } = told
  const place = change?.place === undefined ? undefined : placeNamed(change.place, names)
  const before =
    place === undefined || change?.kind === 'create'
      ? undefined
      : await stage.read(place).catch(() => undefined)
  const answer = await stage.send(call)
  const sent = { words: call.words, answer: answer.words, ok: answer.ok }
  if (change === undefined) return { ...base, sent }
  if (change.kind === 'create') {
    const [then, now] = [reenactor.idOf(change.after), reenactor.idOf(answer.state)]
    if (then !== undefined && now !== undefined) names.set(then, now)
    const made = answer.ok ? describeState(answer.state, 'after') : undefined
    return { ...base, sent, kind: 'create', ...(made === undefined ? {} : { changes: made }) }
  }
  const after = place === undefined ? undefined : await stage.read(place).catch(() => undefined)
  const changes =
    after === undefined
      ? describeState(before, 'before')
      : compareStates(before, after, new Set(change.volatile))
  return { ...base, sent, kind: change.kind, changes }
}

/** Why a step is not done in the sandbox; undefined: it is. */
function whyNot({ exchange: { entry }, told, unavailable }: Told, { after }: Judged): string | undefined {
  if ('unable' in told) return unavailable ?? told.unable
  const ran = entry.kind === 'action.completed'
  const [only, ...others] = after
  if (only === undefined) return 'its entry holds no decision, or its connection is gone'
  if (others.length > 0)
    return ran ? undefined : 'it did not run then, and whether it would is left open by the entry'
  if (only === 'deny') return 'it would be denied'
  if (only === 'ask' && !ran) return 'a person would be asked, and it did not run then'
  return undefined
}

export function placeNamed(place: string, names: ReadonlyMap<string, string>): string {
  return place
    .split('/')
    .map(segment => names.get(segment) ?? segment)
    .join('/')
}
