/**
 * The thread of the checkpointer: it alone holds the signing keys, hashes, writes tiles and signs.
 */
import { mkdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { type MessagePort, parentPort, workerData } from 'node:worker_threads'
import { type KeyReference, KeyRing, loadConfigured, type RingKey } from './key-ring.ts'
import { type NoteSigner, openNote, signNote } from './note.ts'
import { type Cosignatures, DamageError, PublishedTree } from './published-tree.ts'
import { readIfThere, replaceFile, syncDirectories } from './tiles.ts'

export interface WorkerOptions {
  readonly directory: string
  readonly origin: string
  /** PKCS 8 PEM, made where absent; all of them sign. The last signed head is kept beside the first, as `.head`. */
  readonly keyFiles: readonly string[]
  /** Keys that are elsewhere; where given, they sign instead of the files. */
  readonly keys?: readonly KeyReference[]
  /** The directory that relative references start from. */
  readonly base?: string
  /** Lines of a C2SP tlog-policy that name witnesses and the quorum, for the policy file; default: `quorum none`. */
  readonly policy?: string
}

export type WorkerRequest =
  | { readonly op: 'open' }
  | { readonly op: 'integrate' | 'compare'; readonly start: number; readonly packed: Uint8Array }
  | { readonly op: 'publish' }
  | ({ readonly op: 'cosign' } & Cosignatures)
  | { readonly op: 'prove'; readonly old: number; readonly size: number }
  | { readonly op: 'prepare-key' }
  | { readonly op: 'activate-key'; readonly until: number }

export interface WorkerState {
  /** Entries taken in. */
  readonly size: number
  readonly root: string
  /** The last signed head. */
  readonly signed?: { readonly size: number; readonly root: string; readonly note: string }
  readonly vkeys: readonly string[]
  /** Of those, the ones that did not exist before. */
  readonly created: readonly string[]
  /** The keys that the gateway manages itself; absent where they are configured. */
  readonly ring?: readonly RingKey[]
  /** The verifier keys that were published before this start. */
  readonly earlier: readonly string[]
}

export type WorkerReply =
  | { readonly id: number; readonly state: WorkerState; readonly proof?: readonly Uint8Array[] }
  | {
      readonly id: number
      readonly error: string
      readonly damage: boolean
      /** Whether the tree is still open. */
      readonly open: boolean
    }

const options = workerData as WorkerOptions
const port = parentPort as MessagePort
let ring: KeyRing | undefined
let configured: readonly NoteSigner[] = []
let earlier: readonly string[] | undefined
let tree: PublishedTree | undefined

function signers(): readonly NoteSigner[] {
  return ring?.signers ?? configured
}

async function loadKeys(): Promise<void> {
  if (ring !== undefined || configured.length > 0) return
  const { origin, keyFiles, keys, base = '.' } = options
  if (keys === undefined) ring = new KeyRing(origin, keyFiles)
  else configured = (await loadConfigured(origin, keys, base)).signers
}

function open(): PublishedTree {
  mkdirSync(options.directory, { recursive: true })
  syncDirectories([options.directory], dirname(options.directory))
  earlier ??= (readIfThere(join(options.directory, 'log.vkey'))?.toString() ?? '').split('\n').slice(0, -1)
  nameKeys()
  return new PublishedTree({
    directory: options.directory,
    origin: options.origin,
    headFile: `${options.keyFiles[0]}.head`,
    openCheckpoint(note) {
      const retired = (ring?.retired ?? []).map(each => ({ ...each, publicKey: each.key }))
      for (const signer of [...signers(), ...retired]) {
        const text = openNote(note, signer)
        if (text !== undefined) return text
      }
      return undefined
    },
  })
}

/** For verifiers: the keys, and the policy file of C2SP tlog-policy that names them. */
function nameKeys(): void {
  const vkeys = signers().map(each => each.vkey)
  writeIfOther('log.vkey', `${vkeys.join('\n')}\n`)
  const logs = vkeys.map(vkey => `log ${vkey}\n`).join('')
  writeIfOther('tlog-policy', `${logs}${options.policy ?? 'quorum none\n'}`)
}

function writeIfOther(name: string, text: string): void {
  const path = join(options.directory, name)
  if (readIfThere(path)?.toString() !== text) replaceFile(path, Buffer.from(text))
}

/** Gives the hashes that were asked for, if any. */
async function perform(request: WorkerRequest): Promise<readonly Buffer[] | undefined> {
  if (request.op === 'open') {
    await loadKeys()
    tree = open()
  }
  if (tree === undefined) throw new Error('not open')
  if (request.op === 'prove') return await tree.prove(request.old, request.size)
  if (request.op === 'publish') {
    if (ring?.retire(Date.now()) === true) nameKeys()
    tree.publish(await signHead(tree.prepare()))
  } else if (request.op === 'cosign') tree.cosign(request)
  else if (request.op === 'prepare-key') managed().prepare()
  else if (request.op === 'activate-key') {
    managed().activate(request.until)
    nameKeys()
  } else if (request.op !== 'open') takeIn(tree, request)
  return undefined
}

function managed(): KeyRing {
  if (ring === undefined) throw new Error('the keys of the log are in the configuration')
  return ring
}

function takeIn(tree: PublishedTree, request: Extract<WorkerRequest, { op: 'integrate' | 'compare' }>): void {
  const packed = Buffer.from(request.packed.buffer, request.packed.byteOffset, request.packed.byteLength)
  if (request.op === 'compare') tree.compare(request.start, packed)
  else if (request.start === tree.size) tree.integrate(packed)
  else throw new Error(`entries from ${request.start} do not follow ${tree.size}`)
}

function state(of: PublishedTree): WorkerState {
  const { size, root, note } = of.signed ?? {}
  const signed = note === undefined ? {} : { signed: { size: size!, root: root!.toString('base64'), note } }
  return {
    size: of.size,
    root: of.root.toString('base64'),
    ...signed,
    vkeys: signers().map(each => each.vkey),
    created: ring?.created ?? [],
    earlier: earlier ?? [],
    ...(ring && { ring: ring.keys }),
  }
}

/** What changes nothing in the tree, however it ends. */
const harmless: ReadonlySet<string> = new Set(['prove', 'cosign', 'prepare-key', 'activate-key'])

/** A key that is elsewhere did not sign. The tree is as it was, and may be signed at the next try. */
class UnsignedError extends Error {
  override readonly name = 'UnsignedError'
}

async function signHead(text: string): Promise<string> {
  try {
    const note = await signNote(text, signers())
    // A key elsewhere is not believed: each signature is checked before anybody else sees it.
    for (const each of signers())
      if (openNote(note, each) !== text) throw new Error('a signature does not hold')
    return note
  } catch (error) {
    throw new UnsignedError(`a key did not sign: ${(error as Error).message}`, { cause: error })
  }
}

async function answer(message: WorkerRequest & { readonly id: number }): Promise<void> {
  try {
    const proof = await perform(message)
    port.postMessage({ id: message.id, state: state(tree!), ...(proof && { proof }) } satisfies WorkerReply)
  } catch (error) {
    const damage = error instanceof DamageError
    // What was half taken in is not trusted: the next request begins from what was signed.
    if (!damage && !(error instanceof UnsignedError) && !harmless.has(message.op)) tree = undefined
    const open = tree !== undefined
    port.postMessage({ id: message.id, error: String(error), damage, open } satisfies WorkerReply)
  }
}

// A key elsewhere takes its time to sign: requests still take turns.
let turn = Promise.resolve()
port.on('message', (message: WorkerRequest & { readonly id: number }) => {
  turn = turn.then(() => answer(message))
})
