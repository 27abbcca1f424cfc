import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  consistencyProof,
  emptyRoot,
  type HashOf,
  inclusionProof,
  leafHash,
  nodeHash,
  rootOf,
  subtreesOf,
} from './tree.ts'

/** The inputs of the reference tests of certificate-transparency, and the roots that RFC 6962 gives for them. */
const inputs = [
  '',
  '00',
  '10',
  '2021',
  '3031',
  '40414243',
  '5051525354555657',
  '606162636465666768696a6b6c6d6e6f',
].map(hex => Buffer.from(hex, 'hex'))
const roots = [
  '6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d',
  'fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125',
  'aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77',
  'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7',
  '4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4',
  '76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef',
  'ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c',
  '5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328',
]

/** MTH as the RFC defines it, by recursion over the leaves. */
function mth(leaves: readonly Buffer[]): Buffer {
  if (leaves.length === 0) return emptyRoot
  if (leaves.length === 1) return leafHash(leaves[0]!)
  let split = 1
  while (split * 2 < leaves.length) split *= 2
  return nodeHash(mth(leaves.slice(0, split)), mth(leaves.slice(split)))
}

const over =
  (leaves: readonly Buffer[]): HashOf =>
  async ({ level, index }) =>
    mth(leaves.slice(index * 2 ** level, (index + 1) * 2 ** level))

const numbered = (size: number) => Array.from({ length: size }, (_, i) => Buffer.from(`leaf ${i}`))

/** RFC 9162 section 2.1.3.2. */
function rootFromInclusion(
  leaf: Buffer,
  at: { index: number; size: number },
  path: readonly Buffer[],
): Buffer {
  let fn = at.index
  let sn = at.size - 1
  let root = leaf
  for (const each of path) {
    assert.notEqual(sn, 0)
    if (fn % 2 === 1 || fn === sn) {
      root = nodeHash(each, root)
      while (fn % 2 === 0 && fn !== 0) {
        fn = Math.floor(fn / 2)
        sn = Math.floor(sn / 2)
      }
    } else root = nodeHash(root, each)
    fn = Math.floor(fn / 2)
    sn = Math.floor(sn / 2)
  }
  assert.equal(sn, 0)
  return root
}

/** RFC 9162 section 2.1.4.2. */
function checkConsistency(
  old: { size: number; root: Buffer },
  now: { size: number; root: Buffer },
  proof: Buffer[],
) {
  const path = (old.size & (old.size - 1)) === 0 ? [old.root, ...proof] : proof
  let fn = old.size - 1
  let sn = now.size - 1
  while (fn % 2 === 1) {
    fn >>= 1
    sn >>= 1
  }
  let fr = path[0]!
  let sr = path[0]!
  for (const each of path.slice(1)) {
    assert.notEqual(sn, 0)
    if (fn % 2 === 1 || fn === sn) {
      fr = nodeHash(each, fr)
      sr = nodeHash(each, sr)
      while (fn % 2 === 0 && fn !== 0) {
        fn >>= 1
        sn >>= 1
      }
    } else sr = nodeHash(sr, each)
    fn >>= 1
    sn >>= 1
  }
  assert.deepEqual([fr, sr, sn], [old.root, now.root, 0])
}

test('RFC 6962: the roots of the reference tests', async () => {
  assert.equal(emptyRoot.toString('hex'), 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855')
  assert.deepEqual(await rootOf(0, over([])), emptyRoot)
  for (const [i, root] of roots.entries()) {
    assert.equal((await rootOf(i + 1, over(inputs.slice(0, i + 1)))).toString('hex'), root)
  }
})

test('RFC 6962 section 2.1.3: the proofs of the example with seven leaves', async () => {
  const leaves = numbered(7)
  const of = over(leaves)
  const range = (from: number, to: number) => mth(leaves.slice(from, to))
  assert.deepEqual(await inclusionProof(0, 7, of), [range(1, 2), range(2, 4), range(4, 7)])
  assert.deepEqual(await inclusionProof(3, 7, of), [range(2, 3), range(0, 2), range(4, 7)])
  assert.deepEqual(await inclusionProof(4, 7, of), [range(5, 6), range(6, 7), range(0, 4)])
  assert.deepEqual(await inclusionProof(6, 7, of), [range(4, 6), range(0, 4)])
  assert.deepEqual(await consistencyProof(3, 7, of), [range(2, 3), range(3, 4), range(0, 2), range(4, 7)])
  assert.deepEqual(await consistencyProof(4, 7, of), [range(4, 7)])
  assert.deepEqual(await consistencyProof(6, 7, of), [range(4, 6), range(6, 7), range(0, 4)])
  assert.deepEqual(await consistencyProof(7, 7, of), [])
})

test('property: subtrees tile their range, and every proof leads to the root', async () => {
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 1, max: 400 }), fc.nat(), fc.nat(), async (size, a, b) => {
      const leaves = numbered(size)
      const of = over(leaves)
      const root = mth(leaves)
      assert.deepEqual(await rootOf(size, of), root)
      const index = a % size
      const path = await inclusionProof(index, size, of)
      assert.deepEqual(rootFromInclusion(leafHash(leaves[index]!), { index, size }, path), root)
      const old = (b % size) + 1
      const proof = await consistencyProof(old, size, of)
      if (old < size) checkConsistency({ size: old, root: mth(leaves.slice(0, old)) }, { size, root }, proof)
      const from = Math.min(index, old)
      let at = from
      for (const each of subtreesOf(from, size)) {
        assert.equal(each.index * 2 ** each.level, at)
        at += 2 ** each.level
      }
      assert.equal(at, size)
    }),
    { numRuns: 60 },
  )
})
