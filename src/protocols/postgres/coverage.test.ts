import assert from 'node:assert/strict'
import { test } from 'node:test'
import { maskingSection } from '../../config/masking.ts'
import type { Masker } from '../../masking/masker.ts'
import { createMasking } from '../../masking/masking.ts'
import { PostgresAction } from './action.ts'
import { coverageOf, selects } from './coverage.ts'
import { judge, loadParser } from './judge.ts'

await loadParser()

function maskerOf(keys: readonly string[], pattern?: string): Masker {
  const patterns = pattern === undefined ? [] : [{ name: 'own', regex: pattern }]
  const config = maskingSection.parse({ profiles: { people: { detectors: ['email'], keys, patterns } } })
  return createMasking(config).masker(['people'])
}

test('P8: what a name means is that of the rules in force, however often others were asked', () => {
  const [before, after] = [maskerOf(['pin']), maskerOf(['email'])]
  for (let round = 0; round < 3; round++) {
    assert.deepEqual([selects(before, 'pin'), selects(before, 'email')], [true, false])
    assert.deepEqual([selects(after, 'pin'), selects(after, 'email')], [false, true])
  }
  const [state, other] = [{}, {}]
  assert.equal(coverageOf(state, before.rules), coverageOf(state, before.rules))
  assert.notEqual(coverageOf(state, before.rules), coverageOf(state, after.rules))
  assert.notEqual(coverageOf(state, before.rules), coverageOf(other, before.rules))
})

test('P8: an entry shows a statement by the rules in force, also one that was shown before', () => {
  const state = { database: 'd', user: 'u', pid: 1, changed: new Map() }
  const shown = (text: string, masker: Masker): unknown => {
    const judged = judge(Buffer.from(text))
    const [judgement] = 'problem' in judged ? [] : judged.statements
    const unit = { judgement: judgement!, maxRows: 0 }
    const { facts } = new PostgresAction(unit, judgement!.operations[0]!, { state, masker })
    return (facts.db as { readonly statement: string }).statement
  }
  const [before, after] = [maskerOf([]), maskerOf([], 'tck_[0-9]+')]
  assert.equal(shown('select a from tck_1 where n = 1', before), 'select a from tck_1 where n = $1')
  assert.equal(shown('select a from tck_1 where n = 2', after), 'select a from [masked:own] where n = $1')
  assert.equal(shown('select a from tck_1 where n = 1', after), 'select a from [masked:own] where n = $1')
  assert.equal(shown('select a from tck_1 where n = 3', before), 'select a from tck_1 where n = $1')
})
