import { readIdentity } from '../recording/keys.ts'
import { openRecording, splitAgeFile } from '../recording/recordings.ts'
import type { ApiClient } from './client.ts'
import { Failure } from './failure.ts'
import type { ReplayedAction, ReplayFrame } from './replay-text.ts'

/** Largest recording that is opened here, bytes. */
const largest = 512 * 1024 * 1024

/**
 * The action with its frames, from the age file that the gateway gives and an identity that it need not have. What the
 * gateway says of the recording is checked: the frames are those that the entry committed to, or it is a Failure.
 */
export async function openLocally(
  api: ApiClient,
  action: ReplayedAction,
  identityFile: string,
): Promise<ReplayedAction> {
  const { entry } = action
  const { recording } = entry
  if (recording === undefined) return action
  const identity = await readIdentity(identityFile).catch((error: unknown) => {
    throw new Failure(error instanceof Error ? error.message : String(error))
  })
  const path = `/sessions/${encodeURIComponent(entry.session ?? '')}/recordings/${entry.seq}.age`
  const chunks: Buffer[] = []
  let length = 0
  try {
    for await (const chunk of await api.stream(path)) {
      length += chunk.length
      if (length > largest) throw new Failure(`entry ${entry.seq}: the recording is too large to show`)
      chunks.push(chunk)
    }
  } catch (error) {
    // What was erased or removed is told as the gateway tells it.
    if (error instanceof Failure) return { entry, unavailable: error.message }
    throw error
  }
  try {
    const file = splitAgeFile(Buffer.concat(chunks))
    const frames = openRecording({ ...file, identity, commitment: recording.commitment })
    return {
      entry,
      frames: frames.map(({ bytes, ...about }): ReplayFrame => ({ ...about, ...shown(bytes) })),
    }
  } catch (error) {
    throw new Failure(`entry ${entry.seq}: ${(error as Error).message}`)
  }
}

/** Text where the bytes are UTF-8, else base64. */
function shown(bytes: Buffer): { text: string } | { base64: string } {
  try {
    return { text: new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes) }
  } catch {
    return { base64: bytes.toString('base64') }
  }
}
