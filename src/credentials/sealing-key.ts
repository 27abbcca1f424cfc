/** Keys of this machine for what the state store must not hold in the clear. */
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto'
import { mkdir, open, readFile } from 'node:fs/promises'
import { join } from 'node:path'

/** The 32 bytes in `<directory>/<name>.key`, made at the first call, mode 0600. */
export async function loadSealingKey(directory: string, name: string): Promise<Buffer> {
  const file = join(directory, `${name}.key`)
  const existing = await readFile(file, 'utf8').catch(ifMissing)
  if (existing !== undefined) {
    const key = Buffer.from(existing.trim(), 'base64')
    if (key.length !== 32) throw new TypeError(`${file} holds no key of 32 bytes`)
    return key
  }
  const key = randomBytes(32)
  await mkdir(directory, { recursive: true, mode: 0o700 })
  const handle = await open(file, 'wx', 0o600)
  try {
    await handle.write(`${key.toString('base64')}\n`)
    await handle.sync()
  } finally {
    await handle.close()
  }
  return key
}

/** AES-256-GCM over JSON, bound to `context`: under another one it does not open. Base64. */
export function seal(key: Buffer, context: string, value: unknown): string {
  const nonce = randomBytes(12)
  const cipher = createCipheriv('aes-256-gcm', key, nonce).setAAD(Buffer.from(context))
  const body = Buffer.concat([cipher.update(JSON.stringify(value), 'utf8'), cipher.final()])
  return Buffer.concat([nonce, cipher.getAuthTag(), body]).toString('base64')
}

/** What was sealed; undefined where the key, the context or the bytes are not those. */
export function unseal(key: Buffer, context: string, sealed: string): unknown {
  const bytes = Buffer.from(sealed, 'base64')
  try {
    const decipher = createDecipheriv('aes-256-gcm', key, bytes.subarray(0, 12), { authTagLength: 16 })
      .setAAD(Buffer.from(context))
      .setAuthTag(bytes.subarray(12, 28))
    return JSON.parse(Buffer.concat([decipher.update(bytes.subarray(28)), decipher.final()]).toString('utf8'))
  } catch {
    return undefined
  }
}

function ifMissing(error: unknown): undefined {
  if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
  throw error
}
