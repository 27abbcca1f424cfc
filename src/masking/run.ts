import type { DecodeLimits } from './decode.ts'
import type { Transform } from './transform.ts'

export interface BodyLimits extends DecodeLimits {
  readonly maxBuffered: number
}

/** Sends each chunk through the transform; the chunk itself goes on where nothing in it changed. */
export async function* run(body: AsyncIterable<Buffer>, transform: Transform): AsyncGenerator<Buffer> {
  for await (const chunk of body) {
    const text = chunk.toString('latin1')
    const out = transform.push(text)
    if (out === text) yield chunk
    else if (out !== '') yield Buffer.from(out, 'latin1')
  }
  const rest = transform.end()
  if (rest !== '') yield Buffer.from(rest, 'latin1')
}
