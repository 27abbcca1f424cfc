import type { Findings } from './findings.ts'
import type { TrustPolicy } from './policy.ts'
import { parsePolicy } from './policy.ts'
import type { Head } from './signed-note.ts'
import { decodeText, parseVerifierKey } from './signed-note.ts'
import type { Source } from './source.ts'
import { entryOffsets, pathOf } from './walk.ts'

interface Context {
  readonly source: Source
  readonly head: Head
  readonly policy: TrustPolicy
  readonly findings: Findings
  readonly used: ReadonlyMap<string, number>
}

/**
 * Looks at every file that the walk did not use: an older partial tile must be the exact beginning of its present
 * form, the files for verifiers must say what is trusted here, and nothing else belongs in a log. Gives what is not
 * wrong but worth a word.
 */
export async function checkLeftovers(context: Context): Promise<string[]> {
  const { source, used, findings } = context
  const notes: string[] = []
  for (const path of (await source.list()) ?? []) {
    // Both are read, and judged, before the walk.
    if (path === 'checkpoint' || path === 'checkpoint.witnessed') continue
    if (used.get(path) === widthOf(path)) continue
    if (path === 'log.vkey' || path === 'tlog-policy') await checkTrust(path, context)
    else if (path.endsWith('.tmp')) notes.push(`${path}: left by an interrupted write`)
    else if (!(await checkOlder(path, context, notes))) {
      findings.add('missing', 'unexpected-file', `${path} is no part of a log`)
    }
  }
  return notes
}

async function checkTrust(path: string, { source, policy, findings }: Context): Promise<void> {
  const text = decodeText((await source.read(path)) ?? Buffer.alloc(0)) ?? ''
  const trusted = new Set(policy.logs.map(each => each.vkey))
  let said: string[]
  try {
    // Stricter than the format: the gateway writes no empty lines, so one was put there.
    if (!text.endsWith('\n') || text.includes('\n\n')) throw new TypeError('not as the gateway writes it')
    const keys =
      path === 'log.vkey' ? text.slice(0, -1).split('\n').map(parseVerifierKey) : parsePolicy(text).logs
    said = keys.map(each => each.vkey)
    if (new Set(said).size < said.length) throw new TypeError('one key twice')
  } catch {
    return findings.add('tampering', 'trust-file', `${path} is malformed`)
  }
  if (!said.some(vkey => trusted.has(vkey))) {
    findings.add('tampering', 'trust-file', `${path} names other keys than those trusted here`)
  }
}

function widthOf(path: string): number {
  return Number(/\.p\/(\d+)$/.exec(path)?.[1] ?? 256)
}

/** False where the path is not that of a tile or bundle. */
async function checkOlder(path: string, context: Context, notes: string[]): Promise<boolean> {
  const match = /^tile\/(entries|\d)\/((?:x\d{3}\/)*\d{3})(?:\.p\/(\d{1,3}))?$/.exec(path)
  if (!match) return false
  const level = match[1] === 'entries' ? 'entries' : Number(match[1])
  const index = Number(match[2]!.replaceAll(/[x/]/g, ''))
  const width = Number(match[3] ?? 256)
  if (width < 1 || pathOf(level, index, width) !== path) return false
  const { source, head, findings } = context
  const nodes = Math.floor(head.size / 256 ** (level === 'entries' ? 0 : level))
  const now = Math.min(256, nodes - index * 256)
  const bytes = (await source.read(path)) ?? Buffer.alloc(0)
  const common = Math.min(width, now)
  if (now < width) notes.push(`${path}: ahead of the signed head`)
  if (common < 1) return true
  const current =
    (await source.read(pathOf(level, index, now))) ?? (await source.read(pathOf(level, index, 256)))
  const whole = begin(level, bytes, { width, exact: true })
  const same = begin(level, bytes, { width: common, exact: false })
  const expected = current && begin(level, current, { width: common, exact: false })
  if (whole === undefined || same === undefined || (expected !== undefined && !same.equals(expected))) {
    findings.add('tampering', 'stale-file', `${path} is not the beginning of its present form`)
  }
  return true
}

/** The bytes of the first `width` hashes or entries; undefined where there are not so many (or, if exact, others). */
function begin(
  level: number | 'entries',
  bytes: Buffer,
  { width, exact }: { readonly width: number; readonly exact: boolean },
): Buffer | undefined {
  if (level !== 'entries') {
    const length = width * 32
    return bytes.length < length || (exact && bytes.length !== length) ? undefined : bytes.subarray(0, length)
  }
  const offsets = entryOffsets(bytes, width, exact)
  return offsets && bytes.subarray(0, offsets[width])
}
