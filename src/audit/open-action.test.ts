import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { GatewayError } from '../errors.ts'
import { StorageFaultError, StorageFullError } from '../storage/storage.ts'
import type { EntryRef, OpenAction } from './audit.ts'
import { terminalKinds } from './events.ts'
import { openAudit } from './log.ts'
import { fakeStore } from './testing/fake-store.ts'
import { answered, entriesOf, origin, permit, sampleAction, sampleSession } from './testing/samples.ts'

type Step = {
  readonly on: number
  readonly do: 'begin' | 'decided' | 'forwarding' | 'deny' | 'complete' | 'fail' | 'tick'
}
type Fate = 'kept' | 'full' | 'faulted'

const steps = fc.array(
  fc.record<Step>({
    on: fc.nat({ max: 5 }),
    do: fc.constantFrom('begin', 'decided', 'forwarding', 'deny', 'complete', 'fail', 'tick'),
  }),
  { maxLength: 60 },
)
const fates = fc.array(
  fc.oneof(
    { weight: 6, arbitrary: fc.constant<Fate>('kept') },
    { weight: 3, arbitrary: fc.constant<Fate>('full') },
    { weight: 1, arbitrary: fc.constant<Fate>('faulted') },
  ),
  { maxLength: 40 },
)

test('P2: model: whatever the order and whatever the store does, each intent has one end after the next start', async () => {
  await fc.assert(
    fc.asyncProperty(steps, fates, async (script, plan) => {
      const store = fakeStore()
      const run = { store, origin, heartbeat: { growing: 0, idle: 0 }, backOff: [1, 1] } as const
      const audit = await openAudit(run)
      let at = 0
      store.before = () => {
        const fate = plan[at++] ?? 'kept'
        if (fate === 'full') throw new StorageFullError('no space')
        if (fate === 'faulted') throw new StorageFaultError('fsync failed')
      }
      const actions: OpenAction[] = []
      const begun: Promise<unknown>[] = []
      const acknowledged: Promise<EntryRef>[] = []
      for (const step of script) {
        const action = actions[step.on]
        if (step.do === 'begin')
          begun.push(observed(audit.begin(sampleSession(), sampleAction()).then(each => actions.push(each))))
        else if (step.do === 'tick') await new Promise(resolve => setImmediate(resolve))
        else if (action !== undefined) {
          const ended = perform(action, step.do)
          if (ended !== undefined) acknowledged.push(observed(ended))
        }
      }
      await Promise.allSettled(begun)
      const ends = await Promise.allSettled(acknowledged)
      store.before = () => undefined
      const durable = fakeStore(store.entries)
      await openAudit({ ...run, store: durable })
      const entries = entriesOf(durable)
      assert.deepEqual(
        entries.map(entry => entry.seq),
        entries.map((_, i) => String(i)),
      )
      const counts = new Map<string, number>()
      for (const entry of entries) {
        if ((terminalKinds as readonly string[]).includes(entry.kind)) {
          counts.set(entry.intent!, (counts.get(entry.intent!) ?? 0) + 1)
          assert.equal(entries[Number(entry.intent)]?.kind, 'action.intended')
        }
      }
      for (const action of actions) assert.equal(counts.get(String(action.intent.index)), 1)
      for (const entry of entries) {
        if (entry.kind === 'action.intended') assert.equal(counts.get(entry.seq), 1)
      }
      for (const end of ends) {
        if (end.status === 'fulfilled') assert.ok(entries[end.value.index]?.intent !== undefined)
      }
    }),
    { numRuns: 120 },
  )
})

/** The same promise, whose rejection is looked at later. */
function observed<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => undefined)
  return promise
}

function perform(action: OpenAction, step: Step['do']): Promise<EntryRef> | undefined {
  switch (step) {
    case 'decided':
      action.decided(permit)
      return undefined
    case 'forwarding':
      action.forwarding()
      return undefined
    case 'complete':
      return action.complete(answered)
    case 'fail':
      return action.fail(new GatewayError('internal'))
    case 'deny':
      try {
        return action.deny({ reason: 'rule-denied' })
      } catch (error) {
        assert.ok(error instanceof TypeError)
        return undefined
      }
    case 'begin':
    case 'tick':
      return undefined
  }
}
