import assert from 'node:assert/strict'
import { test } from 'node:test'
import { recordOf, samples, variants } from '../testing/samples.ts'
import { attributes, type EventAttribute } from './attributes.ts'
import { eventOf } from './event.ts'

function valueAt(event: unknown, path: string): unknown {
  return path
    .split('.')
    .reduce<unknown>((at, name) => (at as Record<string, unknown> | undefined)?.[name], event)
}

test('every attribute that queries name is in some event, with the type that its facet has', () => {
  const records = [
    ...Object.entries(samples).map(([kind, members]) => recordOf({ ...members, kind })),
    ...Object.values(variants).map(members => recordOf(members)),
  ]
  const options = { service: 'sallyport', hostname: 'gw-1', tags: [] }
  const events = records.map(record => eventOf(record, { now: Date.now(), backfill: false }, options))
  const wrong = (Object.values(attributes) as EventAttribute[]).filter(({ path, type }) => {
    const values = events.map(event => valueAt(event, path)).filter(value => value !== undefined)
    const wanted = type === 'integer' ? 'number' : type
    return values.length === 0 || values.some(value => typeof value !== wanted)
  })
  assert.deepEqual(wrong, [])
})
