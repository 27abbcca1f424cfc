/**
 * Verifies a log from outside: from its published files or an address or a receipt, with the keys that the verifier
 * trusts and nothing else. Imports only Node, shares no code with the writer, and needs no database.
 *
 * Exit 0: sound. 1: evidence of tampering. 2: can't tell, something needed is not there. 1 and 2 are never merged.
 */
import { readFile } from 'node:fs/promises'
import { pathToFileURL } from 'node:url'
import { parseArgs } from 'node:util'
import { findAnchors } from './verify/anchors.ts'
import { checkBlobs } from './verify/blobs.ts'
import { CompletenessCheck, type Completeness } from './verify/completeness.ts'
import { type Finding, Findings } from './verify/findings.ts'
import { checkLeftovers } from './verify/leftovers.ts'
import { parsePolicy, type TrustPolicy } from './verify/policy.ts'
import { PrunedStatements } from './verify/pruned.ts'
import { checkReceipt, parseReceipt } from './verify/receipt.ts'
import {
  type Head,
  type Note,
  parseHead,
  parseNote,
  parseVerifierKey,
  signedBy,
} from './verify/signed-note.ts'
import { directorySource, httpSource, type Source } from './verify/source.ts'
import { walk, type WalkResult } from './verify/walk.ts'

export interface VerifyOptions {
  /** One of these four: the directory of a published log, its address, the file of a receipt, any other source. */
  readonly directory?: string
  readonly url?: string
  readonly receipt?: string
  readonly from?: Source
  /** Bearer token for `url`. */
  readonly token?: string
  /** Trusted keys of the log, as text or as files of them. */
  readonly vkeys?: readonly string[]
  /** A C2SP tlog-policy file: keys of the log, witnesses, quorum. */
  readonly policy?: string
  /** The origin the log must have; by default that of its key. */
  readonly origin?: string
  /** Files of earlier checkpoints that the log must have grown from. */
  readonly since?: readonly string[]
  /** Exported events with checkpoints in them, one JSON value per line. */
  readonly anchor?: string
  /** Also read what the entries say: gapless numbers, one end for each intent, counters that add up. */
  readonly complete?: boolean
  /** Where the recordings that the entries name are; implies `complete`. */
  readonly blobs?: string
  /** With `receipt`: a file of the entry's exact bytes. */
  readonly entry?: string
  readonly progress?: (done: number, of: number) => void
}

export interface VerifyReport {
  readonly exit: 0 | 1 | 2
  readonly verdict: 'sound' | 'tampering' | 'cannot-tell'
  readonly source: string
  readonly origin?: string
  readonly size?: number
  /** Base64. */
  readonly root?: string
  /** What was looked at. */
  readonly checked: readonly string[]
  readonly findings: readonly Finding[]
  /** Of all findings, since the list is bounded. */
  readonly counts: { readonly tampering: number; readonly missing: number }
  readonly completeness?: Completeness
  /** Not wrong, but worth a word. */
  readonly notes: readonly string[]
  readonly milliseconds: number
}

/** Never throws for what a log holds; throws TypeError for options that make no sense. */
export async function verify(options: VerifyOptions): Promise<VerifyReport> {
  const { directory, url, receipt, from } = options
  if ([directory, url, receipt, from].filter(each => each !== undefined).length !== 1) {
    throw new TypeError('give one of: a directory, an address, a receipt')
  }
  const verification = new Verification(options, await readPolicy(options))
  return await verification.run()
}

async function readPolicy({ vkeys = [], policy }: VerifyOptions): Promise<TrustPolicy> {
  if (policy !== undefined && vkeys.length > 0) throw new TypeError('give keys or a policy, not both')
  if (policy !== undefined) return parsePolicy(await readFile(policy, 'utf8'))
  const texts = await Promise.all(vkeys.map(each => readFile(each, 'utf8').catch(() => each)))
  const logs = texts.flatMap(text => text.trim().split('\n')).map(parseVerifierKey)
  if (logs.length === 0) throw new TypeError('give a key or a policy: a log cannot vouch for itself')
  return { logs, quorum: () => true, witnessed: false }
}

function sourceOf({ directory, url, token, from }: VerifyOptions): Source {
  return from ?? (directory === undefined ? httpSource(url!, token) : directorySource(directory))
}

class Verification {
  readonly #options: VerifyOptions
  readonly #policy: TrustPolicy
  readonly #findings = new Findings()
  readonly #checked: string[] = []
  readonly #notes: string[] = []
  readonly #begun = performance.now()
  #head: Head | undefined
  #completeness: Completeness | undefined

  constructor(options: VerifyOptions, policy: TrustPolicy) {
    this.#options = options
    this.#policy = policy
  }

  async run(): Promise<VerifyReport> {
    const { receipt } = this.#options
    const source = receipt === undefined ? sourceOf(this.#options) : undefined
    try {
      if (source === undefined) await this.#verifyReceipt(receipt!)
      else await this.#verifyLog(source)
    } catch (error) {
      this.#findings.add('missing', 'unreadable', (error as Error).message)
    }
    const { exit, list, tampering, missing } = this.#findings
    return {
      exit,
      verdict: exit === 0 ? 'sound' : exit === 1 ? 'tampering' : 'cannot-tell',
      source: source?.name ?? receipt!,
      ...(this.#head && {
        origin: this.#head.origin,
        size: this.#head.size,
        root: this.#head.root.toString('base64'),
      }),
      checked: this.#checked,
      findings: list,
      counts: { tampering, missing },
      ...(this.#completeness && { completeness: this.#completeness }),
      notes: this.#notes,
      milliseconds: Math.round(performance.now() - this.#begun),
    }
  }

  async #verifyReceipt(path: string): Promise<void> {
    const receipt = parseReceipt(await readFile(path))
    if (receipt === undefined) return this.#findings.add('tampering', 'receipt-malformed', 'not a tlog-proof')
    if (!this.#trust(receipt.note, receipt.head)) return
    if (!this.#policy.quorum(receipt.note)) this.#unwitnessed()
    else if (this.#policy.witnessed) this.#checked.push('cosignatures of a quorum of witnesses')
    const entry = this.#options.entry === undefined ? undefined : await readFile(this.#options.entry)
    checkReceipt(receipt, entry, this.#findings)
    this.#checked.push(`entry ${receipt.index} is in the tree of ${receipt.head.size} entries`)
  }

  async #verifyLog(source: Source): Promise<void> {
    const bytes = await source.read('checkpoint')
    if (bytes === undefined)
      return this.#findings.add('missing', 'checkpoint-missing', 'the log has no checkpoint')
    const note = parseNote(bytes)
    const head = note && parseHead(note.text)
    if (!note || !head)
      return this.#findings.add('tampering', 'checkpoint-malformed', 'not a signed tree head')
    if (!this.#trust(note, head)) return
    const earlier = await this.#earlierHeads(head)
    const witnessed = await this.#witnessedHead(source, note)
    if (witnessed !== undefined) earlier.push(witnessed)
    const check = new CompletenessCheck(this.#findings, head.origin)
    const pruned = new PrunedStatements()
    const complete = this.#options.complete === true || this.#options.blobs !== undefined
    const walked = await walk({
      source,
      head,
      findings: this.#findings,
      sizes: new Set(earlier.map(each => each.size)),
      missing: bundle => pruned.miss(bundle),
      entry: (index, bytes, root) => {
        pruned.take(index, bytes)
        if (complete) check.take(index, bytes, root)
      },
      progress: done => this.#options.progress?.(done, head.size),
    })
    this.#compareHeads(head, earlier, walked)
    this.#notes.push(...pruned.judge(walked.roots, this.#findings))
    const context = { source, head, policy: this.#policy, findings: this.#findings, used: walked.used }
    this.#notes.push(...(await checkLeftovers(context)))
    if (complete) await this.#finish(check)
  }

  async #finish(check: CompletenessCheck): Promise<void> {
    this.#completeness = check.finish()
    this.#checked.push('numbers, ends and counters of all entries')
    if (this.#completeness.open > 0) this.#notes.push(`${this.#completeness.open} actions are open`)
    if (this.#options.blobs === undefined) return
    const { right, expired } = await checkBlobs(check, this.#options.blobs, this.#findings)
    this.#checked.push(`${right} recordings`)
    if (expired > 0)
      this.#notes.push(`${expired} recordings were removed by policy, as entries of the log state`)
  }

  /** Whether the head is one of a log that is trusted here. */
  #trust(note: Note, head: Head): boolean {
    const findings = this.#findings
    const origins = this.#policy.logs.map(each => each.name)
    const wanted = this.#options.origin
    if (!origins.includes(head.origin) || (wanted !== undefined && head.origin !== wanted)) {
      findings.add('tampering', 'other-origin', `the head is of ${head.origin}`)
      return false
    }
    const signed = this.#policy.logs.map(key => signedBy(note, key))
    if (!signed.includes(true) || signed.includes(false)) {
      findings.add('tampering', 'signature', 'the head is not signed by the key of the log')
      return false
    }
    this.#head = head
    this.#checked.push('signature of the head')
    return true
  }

  /**
   * The last head that a quorum cosigned, which the gateway publishes beside its newest. Where the newest is not
   * cosigned yet, witnesses vouch for as much of the log as this one covers, if the log has grown from it.
   */
  async #witnessedHead(source: Source, newest: Note): Promise<Head | undefined> {
    const { logs, quorum, witnessed } = this.#policy
    if (witnessed && quorum(newest)) this.#checked.push('cosignatures of a quorum of witnesses')
    const bytes = await source.read('checkpoint.witnessed')
    if (bytes === undefined) {
      if (!quorum(newest)) this.#unwitnessed()
      return undefined
    }
    const note = parseNote(bytes)
    const head = note && parseHead(note.text)
    const signed = note && logs.map(key => signedBy(note, key))
    if (
      !note ||
      !head ||
      head.origin !== this.#head!.origin ||
      !signed?.includes(true) ||
      signed.includes(false)
    ) {
      this.#findings.add('tampering', 'witnessed-malformed', 'checkpoint.witnessed is not signed by the log')
      return undefined
    }
    if (!quorum(newest)) {
      if (!quorum(note)) this.#unwitnessed()
      else {
        this.#checked.push(`cosignatures of a quorum of witnesses on the first ${head.size} entries`)
        const rest = this.#head!.size - head.size
        if (rest > 0) this.#notes.push(`the last ${rest} entries are signed, and not cosigned yet`)
      }
    }
    return head
  }

  #unwitnessed(): void {
    this.#findings.add('missing', 'quorum', 'too few witnesses cosigned the head')
  }

  async #earlierHeads(head: Head): Promise<Head[]> {
    const heads: Head[] = []
    for (const path of this.#options.since ?? []) {
      const note = parseNote(await readFile(path))
      const earlier = note && parseHead(note.text)
      if (!note || !earlier || !this.#policy.logs.some(key => signedBy(note, key) === true)) {
        this.#findings.add(
          'missing',
          'since-unusable',
          'the earlier checkpoint is not signed by the key of the log',
        )
      } else if (earlier.origin !== head.origin) {
        this.#findings.add('missing', 'since-unusable', 'the earlier checkpoint is of another log')
      } else heads.push(earlier)
    }
    if (this.#options.anchor === undefined) return heads
    const anchors = await findAnchors(this.#options.anchor, { origin: head.origin, keys: this.#policy.logs })
    if (anchors.heads.length === 0) {
      this.#findings.add('missing', 'anchor-empty', 'the anchor holds no checkpoint of this log')
    }
    if (anchors.unsigned > 0)
      this.#notes.push(`${anchors.unsigned} notes in the anchor are not signed by this log`)
    return [...heads, ...anchors.heads]
  }

  #compareHeads(head: Head, earlier: readonly Head[], { whole, roots }: WalkResult): void {
    const findings = this.#findings
    for (const { size, root } of [head, ...earlier]) {
      if (size > head.size) {
        findings.add('tampering', 'rollback', `a head of ${size} entries was signed; there are ${head.size}`)
        continue
      }
      const found = roots.get(size)
      if (found === undefined) {
        if (whole || size > 0)
          findings.add('missing', 'root-unknown', `the root at ${size} can't be computed`)
      } else if (!found.equals(root)) {
        const code = size === head.size ? 'root-differs' : 'fork'
        findings.add(
          'tampering',
          code,
          `the first ${size} entries do not give the root that was signed for them`,
        )
      }
    }
    this.#checked.push(`${head.size} entries, their tiles and root`)
    if (earlier.length > 0) this.#checked.push(`growth from ${earlier.length} earlier heads`)
  }
}

/** `verify.ts --dir DIR --vkey KEY [--since FILE] [--complete] ...` Gives the exit code. */
async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      dir: { type: 'string' },
      url: { type: 'string' },
      receipt: { type: 'string' },
      token: { type: 'string' },
      vkey: { type: 'string', multiple: true },
      policy: { type: 'string' },
      origin: { type: 'string' },
      since: { type: 'string', multiple: true },
      anchor: { type: 'string' },
      complete: { type: 'boolean' },
      blobs: { type: 'string' },
      entry: { type: 'string' },
      json: { type: 'boolean' },
    },
  })
  const { dir, vkey, json, ...rest } = values
  const token = rest.token ?? process.env['SALLYPORT_TOKEN']
  const report = await verify({
    ...rest,
    ...(dir !== undefined && { directory: dir }),
    ...(vkey !== undefined && { vkeys: vkey }),
    ...(token !== undefined && { token }),
    ...(process.stderr.isTTY && {
      progress: (done, of) => process.stderr.write(`\r${done} of ${of} entries`),
    }),
  })
  if (process.stderr.isTTY) process.stderr.write('\r\u001b[K')
  process.stdout.write(json === true ? `${JSON.stringify(report, undefined, 2)}\n` : describe(report))
  return report.exit
}

/** The report for people. */
export function describe(report: VerifyReport): string {
  const lines = [`${report.verdict}: ${report.source}`]
  if (report.size !== undefined) lines.push(`  ${report.origin}, ${report.size} entries, root ${report.root}`)
  for (const each of report.checked) lines.push(`  checked: ${each}`)
  for (const each of report.findings) lines.push(`  ${each.severity}: ${each.code}: ${each.detail}`)
  const unsaid = report.counts.tampering + report.counts.missing - report.findings.length
  if (unsaid > 0) lines.push(`  and ${unsaid} more`)
  for (const each of report.notes) lines.push(`  note: ${each}`)
  return `${lines.join('\n')}\n`
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  try {
    process.exitCode = await main()
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n`)
    process.exitCode = 2
  }
}
