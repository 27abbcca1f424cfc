/**
 * The plaintext of a recording: frames one after the other, each
 *
 *   1 byte   who and what (see `tags`)
 *   4 bytes  microseconds since the exchange began, big endian
 *   4 bytes  length, big endian
 *   n bytes  the content
 */
import type { Frame } from './recorder.ts'

const tags = [
  'client head',
  'client body',
  'client message',
  'upstream head',
  'upstream body',
  'upstream message',
]
const headerSize = 9

/** A frame and when it passed. */
export interface TimedFrame extends Frame {
  /** Microseconds since the exchange began. */
  readonly at: number
}

export function encodeFrame(frame: TimedFrame): Buffer {
  const header = Buffer.allocUnsafe(headerSize)
  header[0] = tags.indexOf(`${frame.from} ${frame.part}`)
  header.writeUInt32BE(Math.min(frame.at, 0xffffffff), 1)
  header.writeUInt32BE(frame.bytes.length, 5)
  return Buffer.concat([header, frame.bytes])
}

/** Throws TypeError when the bytes are not whole frames. */
export function decodeFrames(bytes: Buffer): TimedFrame[] {
  const frames: TimedFrame[] = []
  for (let at = 0; at < bytes.length; ) {
    const tag = tags[bytes[at]!]?.split(' ')
    if (tag === undefined || at + headerSize > bytes.length) throw new TypeError('not a recording')
    const end = at + headerSize + bytes.readUInt32BE(at + 5)
    if (end > bytes.length) throw new TypeError('the recording is cut')
    frames.push({
      from: tag[0] as Frame['from'],
      part: tag[1] as Frame['part'],
      at: bytes.readUInt32BE(at + 1),
      bytes: bytes.subarray(at + headerSize, end),
    })
    at = end
  }
  return frames
}
