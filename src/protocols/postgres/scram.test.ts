import assert from 'node:assert/strict'
import { test } from 'node:test'
import { md5Answer, startScram } from './scram.ts'

/** RFC 7677 section 3, with PostgreSQL's empty user name in the messages. */
const nonce = 'rOprNGfwEbeRWgbNEkqO'
const challenge = `r=${nonce}%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096`

async function answered(serverFirst = challenge) {
  const scram = startScram(['SCRAM-SHA-256'], { password: 'pencil', nonce })
  return { scram, final: await scram.answer(serverFirst) }
}

test('SCRAM: the proof is the one that the password makes, and the server proves itself', async () => {
  const { scram, final } = await answered()
  assert.equal(scram.first, `n,,n=,r=${nonce}`)
  assert.match(final, /^c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj\)hNlF\$k0,p=[A-Za-z0-9+/]{43}=$/)
  for (const wrong of ['v=', 'v=AAAA', `v=${Buffer.alloc(32).toString('base64')}`, 'e=other-error', ''])
    assert.throws(() => scram.verify(wrong), /could not prove/)
})

test('P6: SCRAM challenges that are not ours, or would cost minutes, are refused', async () => {
  const bad = [
    'r=other,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096',
    `r=${nonce},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096`,
    challenge.replace('4096', '2000000000'),
    challenge.replace('4096', '0'),
    challenge.replace('4096', 'x'),
    '',
  ]
  for (const each of bad) await assert.rejects(answered(each), { code: 'upstream-invalid' })
  const scram = startScram(['SCRAM-SHA-256'], { password: 'x' })
  assert.throws(() => scram.verify('v=AAAA'), { code: 'upstream-invalid' })
  assert.throws(() => startScram(['OAUTHBEARER'], { password: 'x' }), { code: 'upstream-invalid' })
})

test('MD5: as PostgreSQL computes it', () => {
  assert.equal(md5Answer('postgres', 'secret', Buffer.from([1, 2, 3, 4])).length, 35)
  assert.notEqual(
    md5Answer('a', 'b', Buffer.from([1, 2, 3, 4])),
    md5Answer('a', 'b', Buffer.from([1, 2, 3, 5])),
  )
})
