import { createPrivateKey, generateKeyPairSync, type KeyObject } from 'node:crypto'
import { closeSync, fsyncSync, mkdirSync, openSync, readFileSync, statSync, writeSync } from 'node:fs'
import { dirname } from 'node:path'
import { syncDirectories } from './tiles.ts'

/** A signing key and whether this call made it. */
export interface LoadedKey {
  readonly key: KeyObject
  readonly created: boolean
}

/**
 * The log's Ed25519 key from a PKCS 8 PEM file; made, mode 0600 and durable, where there is no such file. Throws when
 * the file is open to all users of the machine, or holds something else.
 */
export function loadKey(path: string): LoadedKey {
  const created = createKey(path)
  if (statSync(path).mode & 0o007)
    throw new Error(`the signing key of the log is open to every user: chmod 600 ${path}`)
  const key = privateKeyOf(path)
  if (key.asymmetricKeyType !== 'ed25519')
    throw new Error(`the signing key of the log is not an Ed25519 key: ${path}`)
  return { key, created }
}

function privateKeyOf(path: string): KeyObject {
  const pem = readFileSync(path)
  try {
    return createPrivateKey(pem)
  } catch {
    throw new Error(`the signing key of the log can't be read: ${path} holds no private key in PEM (PKCS 8)`)
  }
}

function createKey(path: string): boolean {
  mkdirSync(dirname(path), { recursive: true })
  let file: number
  try {
    // Exclusive, so that two starts cannot each believe in a key of their own.
    file = openSync(path, 'wx', 0o600)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw error
  }
  try {
    const { privateKey } = generateKeyPairSync('ed25519')
    writeSync(file, privateKey.export({ type: 'pkcs8', format: 'pem' }).toString())
    fsyncSync(file)
  } finally {
    closeSync(file)
  }
  syncDirectories([dirname(path)], dirname(dirname(path)))
  return true
}
