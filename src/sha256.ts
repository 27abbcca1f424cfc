import { hash } from 'node:crypto'

/**
 * SHA-256 of what is in memory whole. By way of a text: Node gives each digest as a buffer memory of its own, which for a
 * short input takes longer than the hashing.
 */
export function sha256(input: Uint8Array | string): Buffer {
  return Buffer.from(hash('sha256', input, 'binary'), 'binary')
}
