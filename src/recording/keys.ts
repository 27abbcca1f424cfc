import { mkdir, open, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { RecordingConfig } from '../config/recording.ts'
import { GatewayError } from '../errors.ts'
import { generateAgeKeyPair, recipientOf } from './age.ts'

/** Who can read recordings: always some recipients; the identity only where this gateway may show them. */
export interface RecordingKeys {
  readonly recipients: readonly string[]
  readonly identity?: string
  /** True when this start made the key pair. */
  readonly created: boolean
}

/**
 * The configured keys, or the pair kept in `<directory>/recording.agekey` (mode 0600), made at first start. With
 * configured recipients and no identity the gateway can write recordings and never read one.
 */
export async function loadRecordingKeys(directory: string, config: RecordingConfig): Promise<RecordingKeys> {
  if (config.recipients !== undefined) {
    const identity = config.identity_file === undefined ? undefined : await readIdentity(config.identity_file)
    return { recipients: config.recipients, ...(identity === undefined ? {} : { identity }), created: false }
  }
  const file = config.identity_file ?? join(directory, 'recording.agekey')
  const existing = await readIdentity(file).catch(ifMissing)
  if (existing !== undefined)
    return { recipients: [recipientOf(existing)], identity: existing, created: false }
  const pair = generateAgeKeyPair()
  await mkdir(directory, { recursive: true, mode: 0o700 })
  const handle = await open(file, 'wx', 0o600)
  try {
    await handle.write(`# public key: ${pair.recipient}\n${pair.identity}\n`)
    await handle.sync()
  } finally {
    await handle.close()
  }
  return { recipients: [pair.recipient], identity: pair.identity, created: true }
}

/** The age identity in a file as `age-keygen` writes it. Throws `internal` where it holds none. */
export async function readIdentity(file: string): Promise<string> {
  const line = (await readFile(file, 'utf8')).split('\n').find(each => each.startsWith('AGE-SECRET-KEY-1'))
  if (line === undefined) throw new GatewayError('internal', { internal: `${file} holds no age identity` })
  return line.trim()
}

function ifMissing(error: unknown): undefined {
  if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
  throw error
}
