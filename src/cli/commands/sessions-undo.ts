import type { Command } from 'commander'
import type { Reenactor, Stage } from '../../gateway/reenact.ts'
import { sameButMasked } from '../../model/masked-text.ts'
import { changeLines } from '../change-text.ts'
import { type ApiClient, connect, networkGateway } from '../client.ts'
import { confirm } from '../confirm.ts'
import { entryLine } from '../entry-text.ts'
import { exit, Failure } from '../failure.ts'
import { globals } from '../globals.ts'
import { paint, print, printJson, visible } from '../output.ts'
import { readSession } from '../recorded-session.ts'
import { placeNamed } from '../sandbox-replay.ts'
import { planUndo, type UndoStep } from '../undo-plan.ts'

export interface UndoChoice {
  readonly dryRun?: boolean
  readonly yes?: boolean
  readonly force?: boolean
  readonly identity?: string
  readonly action?: string
}

/** `sallyport sessions undo ID`. */
export async function undoSession(id: string, choice: UndoChoice, command: Command): Promise<void> {
  const options = globals(command)
  const { origin, token } = await networkGateway(options)
  const given = await token()
  if (given === undefined)
    throw new Failure(
      'undoing is done as you: sign in with `sallyport login`, or pass --token',
      exit.unauthenticated,
    )
  const api = await connect({ ...options, url: origin, token: given })
  const { session, reenactor } = await readSession(api, id, choice.identity)
  const stage = reenactor.open(`${origin}/c/${encodeURIComponent(session.connection)}`, {
    authorization: `Bearer ${given}`,
  })
  const all = await planUndo({ api, reenactor, session, stage, identity: choice.identity })
  const steps = all.filter(
    ({ entry }) =>
      choice.action === undefined || entry.action === choice.action || entry.seq === choice.action,
  )
  if (steps.length === 0) throw new Failure('nothing was changed in this session')
  if (options.json === true) steps.forEach(step => printJson(forMachines(step)))
  else for (const step of steps) print(stepText(step))
  if (choice.dryRun === true) return
  const blocked = steps.filter(each => each.state === 'conflict')
  if (blocked.length > 0 && choice.force !== true)
    throw new Failure(
      `nothing was done: ${blocked.map(each => `#${each.entry.seq}`).join(', ')} can not be undone without losing what ` +
        'came after it. --force does it all the same; --action undoes one action alone',
    )
  const ready = steps.filter(({ state }) => state === 'ready' || state === 'conflict')
  if (ready.length === 0) throw new Failure('there is nothing that can be undone')
  await confirm(
    `Undo ${ready.length === 1 ? 'this action' : `these ${ready.length} actions`}?`,
    choice.yes === true,
  )
  await apply({ api, reenactor, stage, id, ready, force: choice.force === true })
  const left = steps.filter(({ state }) => state === 'unable')
  if (left.length > 0)
    throw new Failure(
      `not undone: ${left.map(each => `#${each.entry.seq}`).join(', ')}, for the reasons above`,
    )
}

interface Applied {
  readonly api: ApiClient
  readonly reenactor: Reenactor
  readonly stage: Stage
  readonly id: string
  readonly ready: readonly UndoStep[]
  readonly force: boolean
}

/** One after the other; the first that does not succeed ends it, since those before it build on it. */
async function apply({ api, reenactor, stage, id, ready, force }: Applied): Promise<void> {
  const path = `/sessions/${encodeURIComponent(id)}`
  const { entry: started } = await api.call<{ entry: string }>(`${path}/undo`, {
    method: 'POST',
    body: { actions: ready.map(each => each.entry.seq) },
  })
  const names = new Map<string, string>()
  for (const [i, step] of ready.entries()) {
    const rest = `${i} of ${ready.length} undone`
    const label = `#${step.entry.seq}`
    if (!force && (await hasMoved(stage, step, names)))
      throw new Failure(`${label} has changed while you looked at it; ${rest}. Run this again to see how`)
    const inverse = step.inverse!
    const call = reenactor.renamed(inverse.call, names)
    const answer = await stage.send(call).catch((error: Error) => {
      throw new Failure(`${label}: nobody knows whether ${call.words} ran (${error.message}); ${rest}`)
    })
    if (answer.approval !== undefined)
      throw new Failure(
        `${label} waits for approval ${answer.approval}; ${rest}. Run this again once it is approved`,
      )
    if (!answer.ok) throw new Failure(`${label}: ${call.words} -> ${visible(answer.words)}; ${rest}`)
    const made = inverse.replaces === undefined ? undefined : reenactor.idOf(answer.state)
    if (inverse.replaces !== undefined && made !== undefined) names.set(inverse.replaces.id, made)
    const { operation, resource } = call
    const { by } = await api.call<{ by: string }>(`${path}/undone`, {
      method: 'POST',
      body: { started, undoes: step.entry.seq, operation, resource },
    })
    print(`${paint('green', 'undone')}  ${label} by #${by}${made === undefined ? '' : `: it is ${made} now`}`)
  }
}

/** Whether the object is not any more what the plan saw. What remains between this and the call is a race. */
async function hasMoved(stage: Stage, step: UndoStep, names: ReadonlyMap<string, string>): Promise<boolean> {
  if (step.place === undefined) return false
  const now = await stage.read(placeNamed(step.place, names))
  if (step.kind === 'delete') return now !== undefined && !names.has(step.inverse?.replaces?.id ?? '')
  // A monitor that was made again has another id and another maker.
  if (names.size > 0 && placeNamed(step.place, names) !== step.place) return now === undefined
  return now === undefined || !sameButMasked(now, step.expected, step.volatile)
}

const words: Readonly<Record<UndoStep['state'], string>> = {
  ready: 'can be undone',
  conflict: 'conflict',
  done: 'nothing to do',
  unable: 'can not be undone',
}
const styles = { ready: 'green', conflict: 'red', done: 'dim', unable: 'yellow' } as const

function stepText({ entry, state, why, inverse, changes, references }: UndoStep): string {
  const reason = why === undefined ? '' : `: ${visible(why)}`
  const lines = [`${entryLine(entry)}`, `  ${paint(styles[state], words[state])}${reason}`]
  if (state === 'conflict' && changes !== undefined && changes.changes.length > 0)
    lines.push('  since then', ...changeLines(changes.changes).map(line => `    ${line}`))
  if (state === 'ready' && inverse !== undefined) {
    lines.push(`  by ${visible(inverse.call.words)}  ${paint('dim', inverse.call.operation)}`)
    lines.push(...changeLines(changes?.changes ?? []).map(line => `    ${line}`))
    if (changes?.cut === true) lines.push(paint('dim', '    and more'))
    lines.push(...inverse.warnings.map(each => paint('yellow', `  mind: ${each}`)))
    lines.push(...references.map(each => paint('yellow', `  names the old id: ${visible(each)}`)))
  }
  return `${lines.join('\n')}\n`
}

function forMachines({ entry, state, why, inverse, changes, references }: UndoStep): Record<string, unknown> {
  return { entry, state, why, call: inverse?.call, warnings: inverse?.warnings, changes, references }
}
