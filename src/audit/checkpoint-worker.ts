/**
 * The thread of the checkpointer: it alone holds the signing keys, hashes, writes tiles and signs.
 */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { type MessagePort, parentPort, workerData } from 'node:worker_threads'
import { loadKey } from './key.ts'
import { noteSigner, openNote } from './note.ts'
import { DamageError, PublishedTree } from './published-tree.ts'
import { readIfThere, replaceFile } from './tiles.ts'

export interface WorkerOptions {
  readonly directory: string
  readonly origin: string
  /** PKCS 8 PEM, made where absent; all of them sign. The last signed head is kept beside the first, as `.head`. */
  readonly keyFiles: readonly string[]
}

export type WorkerRequest =
  | { readonly op: 'open' }
  | { readonly op: 'integrate' | 'compare'; readonly start: number; readonly packed: Uint8Array }
  | { readonly op: 'publish' }

export interface WorkerState {
  /** Entries taken in. */
  readonly size: number
  readonly root: string
  /** The last signed head. */
  readonly signed?: { readonly size: number; readonly root: string; readonly note: string }
  readonly vkeys: readonly string[]
  /** Of those, the ones that did not exist before. */
  readonly created: readonly string[]
}

export type WorkerReply =
  | { readonly id: number; readonly state: WorkerState }
  | { readonly id: number; readonly error: string; readonly damage: boolean }

const options = workerData as WorkerOptions
const port = parentPort as MessagePort
const loaded = options.keyFiles.map(path => {
  const { key, created } = loadKey(path)
  return { key, created, signer: noteSigner(options.origin, key) }
})
const signers = loaded.map(each => each.signer)
const vkeys = signers.map(each => each.vkey)
const created = loaded.filter(each => each.created).map(each => each.signer.vkey)
let tree: PublishedTree | undefined

function open(): PublishedTree {
  mkdirSync(options.directory, { recursive: true })
  // For verifiers: the keys, and the policy file of C2SP tlog-policy that names them.
  writeIfOther('log.vkey', `${vkeys.join('\n')}\n`)
  writeIfOther('tlog-policy', `${vkeys.map(vkey => `log ${vkey}\n`).join('')}quorum none\n`)
  return new PublishedTree({
    directory: options.directory,
    origin: options.origin,
    signers,
    headFile: `${options.keyFiles[0]}.head`,
    openCheckpoint(note) {
      for (const { signer, key } of loaded) {
        const text = openNote(note, signer, key)
        if (text !== undefined) return text
      }
      return undefined
    },
  })
}

function writeIfOther(name: string, text: string): void {
  const path = join(options.directory, name)
  if (readIfThere(path)?.toString() !== text) replaceFile(path, Buffer.from(text))
}

function perform(request: WorkerRequest): void {
  if (request.op === 'open') {
    tree = open()
    return
  }
  if (tree === undefined) throw new Error('not open')
  if (request.op === 'publish') {
    tree.publish()
    return
  }
  const packed = Buffer.from(request.packed.buffer, request.packed.byteOffset, request.packed.byteLength)
  if (request.op === 'compare') tree.compare(request.start, packed)
  else if (request.start === tree.size) tree.integrate(packed)
  else throw new Error(`entries from ${request.start} do not follow ${tree.size}`)
}

function state(of: PublishedTree): WorkerState {
  const { size, root, note } = of.signed ?? {}
  const signed = note === undefined ? {} : { signed: { size: size!, root: root!.toString('base64'), note } }
  return { size: of.size, root: of.root.toString('base64'), ...signed, vkeys, created }
}

port.on('message', (message: WorkerRequest & { readonly id: number }) => {
  try {
    perform(message)
    port.postMessage({ id: message.id, state: state(tree!) } satisfies WorkerReply)
  } catch (error) {
    const damage = error instanceof DamageError
    // What was half taken in is not trusted: the next request begins from what was signed.
    if (!damage) tree = undefined
    port.postMessage({ id: message.id, error: String(error), damage } satisfies WorkerReply)
  }
})
