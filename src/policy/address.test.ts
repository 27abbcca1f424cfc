import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { plainAddress, plainOperation } from './address.ts'

test('rules see scheme and host in small letters, and nothing else changed', () => {
  for (const [written, plain] of [
    ['HTTPS://Example.COM/A?B#C', 'https://example.com/A?B#C'],
    ['Memo://InSights', 'memo://insights'],
    ['memo://Ana@Host:8/Path', 'memo://Ana@host:8/Path'],
    ['URN:Isbn:A', 'urn:Isbn:A'],
    ['FILE:///Etc', 'file:///Etc'],
    ['no address', 'no address'],
    ['', ''],
  ] as const)
    assert.equal(plainAddress(written), plain)
})

test('the plain spelling is one, whatever case scheme and host are written in', () => {
  const start = fc.stringMatching(/^[a-z][a-z0-9+.-]{0,8}:\/\/[a-z0-9.-]{1,20}$/)
  fc.assert(
    fc.property(start, fc.webPath(), (lower, path) => {
      const mixed = Array.from(lower, (each, i) => (i % 3 === 0 ? each.toUpperCase() : each)).join('')
      for (const written of [lower, mixed, lower.toUpperCase()])
        assert.equal(plainAddress(written + path), lower + path)
    }),
  )
})

test('an operation has its address in the plain spelling, and nothing else of it is changed', () => {
  for (const [written, plain] of [
    ['resources/Read:MEMO://Host/Path', 'resources/Read:memo://host/Path'],
    ['resources/*:*://Host*', 'resources/*:*://host*'],
    ['tools/call:Do_It', 'tools/call:Do_It'],
    ['GET /to/HTTP://Host/a', 'GET /to/HTTP://Host/a'],
    ['HTTP://Host/a', 'HTTP://Host/a'],
  ] as const)
    assert.equal(plainOperation(written), plain)
})
