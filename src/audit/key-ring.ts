/**
 * The keys that sign the log. Either those of the configuration, wherever they are, all of which sign; or a ring of files
 * that the gateway manages by itself: one at first, and for the time of an overlap a new one beside it.
 */
import { createPrivateKey } from 'node:crypto'
import { rmSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { openSecret } from '../credentials/references.ts'
import { loadKey } from './key.ts'
import { noteSigner, type NoteSigner } from './note.ts'
import { readIfThere, replaceFile, syncDirectories } from './tiles.ts'
import { vaultSigner, type VaultKey } from './vault.ts'
import { parseVerifierKey, type VerifierKey } from './verify/signed-note.ts'

/** A key in the configuration: a reference to its PKCS 8 PEM, or a key in Vault, whose token is a reference. */
export type KeyReference = string | { readonly vault: VaultKey & { readonly token: string } }

/** One of the ring's files. A retired one is gone; its verifier key stays, to read what it signed. */
export interface RingKey {
  readonly file: string
  readonly vkey: string
  readonly state: 'pending' | 'signing' | 'retired'
  /** Milliseconds since the epoch, when it stops signing; absent for one that nothing replaces yet. */
  readonly until?: number
}

export interface LoadedKeys {
  readonly signers: readonly NoteSigner[]
  /** Of their verifier keys, those that this start made. */
  readonly created: readonly string[]
}

/** Throws where one of the keys can't be had: a log that half of its keys sign is not what its verifiers expect. */
export async function loadConfigured(
  origin: string,
  references: readonly KeyReference[],
  base: string,
): Promise<LoadedKeys> {
  const signers = await Promise.all(
    references.map(async reference => {
      if (typeof reference !== 'string') {
        const token = openSecret(reference.vault.token, base)
        return await vaultSigner(origin, reference.vault, () => token.read())
      }
      const pem = await openSecret(reference, base).read()
      try {
        return noteSigner(origin, createPrivateKey(pem))
      } catch (cause) {
        // What could not be parsed may be the key itself with a mistake in it: it is not repeated.
        throw new Error('a signing key of the log is not an Ed25519 key in PKCS 8 PEM', { cause })
      }
    }),
  )
  if (new Set(signers.map(each => each.vkey)).size < signers.length)
    throw new Error('two of the signing keys of the log are the same')
  return { signers, created: [] }
}

export class KeyRing {
  readonly #origin: string
  /** Of the first key; the ring is beside it. */
  readonly #files: readonly string[]
  #keys: RingKey[]
  #signers = new Map<string, NoteSigner>()
  readonly created: string[] = []

  /** Makes the first key where there is none. Throws for a key file that is missing, open to others, or another. */
  constructor(origin: string, files: readonly string[]) {
    this.#origin = origin
    this.#files = files
    const kept = readIfThere(this.#path)
    if (kept === undefined) {
      this.#keys = files.map(file => {
        const { key, created } = loadKey(file)
        const signer = noteSigner(origin, key)
        this.#signers.set(signer.vkey, signer)
        if (created) this.created.push(signer.vkey)
        return { file, vkey: signer.vkey, state: 'signing' as const }
      })
      return
    }
    const { keys } = JSON.parse(kept.toString()) as { keys: RingKey[] }
    this.#keys = keys.map(each => ({ ...each, file: join(this.#directory, each.file) }))
    for (const each of this.#keys) if (each.state !== 'retired') this.#load(each)
  }

  get keys(): readonly RingKey[] {
    return this.#keys
  }

  get signers(): readonly NoteSigner[] {
    return this.#keys.filter(each => each.state === 'signing').map(each => this.#signers.get(each.vkey)!)
  }

  /** Keys that signed once: what is on disk may still be signed by them alone. */
  get retired(): readonly VerifierKey[] {
    return this.#keys.filter(each => each.state === 'retired').map(each => parseVerifierKey(each.vkey))
  }

  /** Makes the next key, durable, not signing yet; the one that is waiting already where there is one. */
  prepare(): RingKey {
    const waiting = this.#keys.find(each => each.state === 'pending')
    if (waiting !== undefined) return waiting
    if (this.signers.length > 1) throw new Error('the last rotation is not over: an old key still signs')
    const file = join(this.#directory, `log-${this.#keys.length + 1}.key`)
    const signer = noteSigner(this.#origin, loadKey(file).key)
    this.#signers.set(signer.vkey, signer)
    const made: RingKey = { file, vkey: signer.vkey, state: 'pending' }
    this.#keep([...this.#keys, made])
    return made
  }

  /** From here on the waiting key signs, and the others beside it until `until`. */
  activate(until: number): void {
    if (!this.#keys.some(each => each.state === 'pending')) return
    this.#keep(
      this.#keys.map(each =>
        each.state === 'pending'
          ? { ...each, state: 'signing' }
          : each.state === 'signing'
            ? { ...each, until: each.until ?? until }
            : each,
      ),
    )
  }

  /** Ends the keys whose time is over, their private halves for good. True where there were any. */
  retire(now: number): boolean {
    const over = this.#keys.filter(each => each.state === 'signing' && (each.until ?? Infinity) <= now)
    // A log without a key would be one that nobody can check any more.
    if (over.length === 0 || over.length === this.signers.length) return false
    this.#keep(this.#keys.map(each => (over.includes(each) ? { ...each, state: 'retired' } : each)))
    for (const { file } of over) rmSync(file, { force: true })
    syncDirectories([this.#directory], this.#directory)
    return true
  }

  get #directory(): string {
    return dirname(this.#files[0]!)
  }

  get #path(): string {
    return `${this.#files[0]!}.ring`
  }

  #load({ file, vkey }: RingKey): void {
    // Not `loadKey`, which makes what is missing: here that would be another key under an old name.
    const pem = readIfThere(file)
    const signer = pem && noteSigner(this.#origin, createPrivateKey(pem))
    if (signer?.vkey !== vkey) throw new Error(`${basename(file)} is not the key that the ring names`)
    this.#signers.set(vkey, signer)
  }

  #keep(keys: RingKey[]): void {
    const text = JSON.stringify(
      { keys: keys.map(each => ({ ...each, file: basename(each.file) })) },
      undefined,
      2,
    )
    replaceFile(this.#path, Buffer.from(`${text}\n`), 0o600)
    syncDirectories([this.#directory], this.#directory)
    this.#keys = keys
  }
}
