/**
 * Bytes to messages and back (PostgreSQL 18, "Message Formats"), for both directions. A message is a type byte, a
 * length that counts itself, and a payload; the first packet of a connection has no type byte. Nothing here waits or
 * knows what a message means. What is longer than the cap never is buffered: it throws.
 */

/** A message whose form is broken or whose length is over the cap. Whoever sent it can't be understood any more. */
export class FrameError extends Error {
  override readonly name = 'FrameError'
  /** True where the message is only too long. */
  readonly tooLong: boolean
  constructor(message: string, tooLong = false) {
    super(message)
    this.tooLong = tooLong
  }
}

/** One message as it stands on the wire. */
export interface Message {
  /** The type byte as a character. */
  readonly type: string
  /** The whole message, type and length included. */
  readonly bytes: Buffer
}

/** Bytes of a message before its payload. */
export const headerLength = 5

/**
 * Cuts a stream into messages. Holds at most one incomplete message, and of that never more than the cap allows: the
 * length is judged before its bytes are waited for.
 */
export class FrameReader {
  readonly #cap: (type: string) => number
  /** What has come of the messages that are not taken yet. */
  #chunks: Buffer[] = []
  /** Of the first of them: where what is not taken begins. */
  #at = 0
  #held = 0
  /** How many bytes the message under way needs; 0 while its header is not here. */
  #needed = 0

  /** `cap`: the longest payload of a type, the length field included. */
  constructor(cap: (type: string) => number) {
    this.#cap = cap
  }

  /** Bytes that are here and not taken. */
  get held(): number {
    return this.#held
  }

  push(chunk: Buffer): void {
    if (chunk.length === 0) return
    this.#chunks.push(chunk)
    this.#held += chunk.length
  }

  /** The next whole message, or undefined until more was pushed. Throws FrameError; then nothing more can be read. */
  take(): Message | undefined {
    if (this.#held < headerLength || this.#held < this.#needed) return undefined
    const head = this.#first(Math.max(headerLength, this.#needed))
    const length = head.readUInt32BE(this.#at + 1)
    const type = String.fromCharCode(head[this.#at]!)
    if (length < 4) throw new FrameError(`a message of type ${printable(type)} with length ${length}`)
    if (length > this.#cap(type))
      throw new FrameError(`a message of type ${printable(type)} with ${length} bytes`, true)
    this.#needed = length + 1
    return this.#held < this.#needed ? undefined : { type, bytes: this.#cut(this.#needed) }
  }

  /** The type of the next message if all of it is here. */
  peek(): string | undefined {
    if (this.#held < headerLength) return undefined
    const head = this.#first(headerLength)
    return this.#held > head.readUInt32BE(this.#at + 1) ? String.fromCharCode(head[this.#at]!) : undefined
  }

  /** Everything that is here, as raw bytes; for the change to another protocol (TLS). */
  drain(): Buffer {
    const all = this.#first(this.#held).subarray(this.#at)
    this.#chunks = []
    this.#at = 0
    this.#held = 0
    this.#needed = 0
    return all
  }

  #cut(length: number): Buffer {
    const head = this.#first(length)
    const end = this.#at + length
    const bytes = head.subarray(this.#at, end)
    if (end === head.length) {
      this.#chunks.shift()
      this.#at = 0
    } else this.#at = end
    this.#held -= length
    this.#needed = 0
    return bytes
  }

  /** The first chunk, with so many bytes of what is held behind `#at`; not more than there are. */
  #first(length: number): Buffer {
    const head = this.#chunks[0] ?? Buffer.alloc(0)
    if (head.length - this.#at >= length) return head
    const rest = this.#at === 0 ? this.#chunks : [head.subarray(this.#at), ...this.#chunks.slice(1)]
    this.#chunks = [Buffer.concat(rest)]
    this.#at = 0
    return this.#chunks[0]!
  }
}

function printable(type: string): string {
  const code = type.charCodeAt(0)
  return code > 32 && code < 127 ? `'${type}'` : `0x${code.toString(16)}`
}

/** The length that the server allows for the first packet (`MAX_STARTUP_PACKET_LENGTH`). */
export const maxStartupPacket = 10_000

/**
 * The first packet, without a type byte: undefined until it is whole. Throws FrameError for a length that no client
 * sends.
 */
export function takeStartupPacket(bytes: Buffer): { packet: Buffer; rest: Buffer } | undefined {
  if (bytes.length < 4) return undefined
  const length = bytes.readUInt32BE(0)
  if (length < 8 || length > maxStartupPacket) throw new FrameError(`a first packet of ${length} bytes`)
  if (bytes.length < length) return undefined
  return { packet: bytes.subarray(4, length), rest: bytes.subarray(length) }
}

/** Codes of first packets that are no start-up. */
export const requestCodes = { ssl: 80877103, gssEncryption: 80877104, cancel: 80877102 } as const

/** Reads a payload from front to back. Every read past the end throws FrameError. */
export class PayloadReader {
  readonly #bytes: Buffer
  #at: number

  /** `start`: where the payload begins, past type and length by default. */
  constructor(bytes: Buffer, start = headerLength) {
    this.#bytes = bytes
    this.#at = start
  }

  get remaining(): number {
    return this.#bytes.length - this.#at
  }

  byte(): number {
    return this.#bytes[this.#take(1)]!
  }

  int16(): number {
    return this.#bytes.readUInt16BE(this.#take(2))
  }

  int32(): number {
    return this.#bytes.readInt32BE(this.#take(4))
  }

  uint32(): number {
    return this.#bytes.readUInt32BE(this.#take(4))
  }

  bytes(length: number): Buffer {
    if (length < 0) throw new FrameError('a negative length')
    const at = this.#take(length)
    return this.#bytes.subarray(at, at + length)
  }

  rest(): Buffer {
    return this.bytes(this.remaining)
  }

  /** A string up to its NUL, as the bytes that it is made of. */
  textBytes(): Buffer {
    const end = this.#bytes.indexOf(0, this.#at)
    if (end < 0) throw new FrameError('a string without an end')
    const text = this.#bytes.subarray(this.#at, end)
    this.#at = end + 1
    return text
  }

  text(): string {
    return this.textBytes().toString('utf8')
  }

  /** What must be at the end of every message. */
  end(): void {
    if (this.remaining !== 0) throw new FrameError(`${this.remaining} bytes too many in a message`)
  }

  #take(length: number): number {
    const at = this.#at
    if (at + length > this.#bytes.length) throw new FrameError('a message that ends too early')
    this.#at = at + length
    return at
  }
}

/** A message with this payload. */
export function message(type: string, ...payload: readonly Buffer[]): Buffer {
  const length = payload.reduce((sum, part) => sum + part.length, 4)
  const out = Buffer.allocUnsafe(length + 1)
  out[0] = type.charCodeAt(0)
  out.writeUInt32BE(length, 1)
  let at = headerLength
  for (const part of payload) at += part.copy(out, at)
  return out
}

export function int16(value: number): Buffer {
  const out = Buffer.allocUnsafe(2)
  out.writeUInt16BE(value)
  return out
}

export function int32(value: number): Buffer {
  const out = Buffer.allocUnsafe(4)
  out.writeInt32BE(value)
  return out
}

/** A string and its NUL. */
export function cstring(text: string): Buffer {
  return Buffer.from(`${text}\0`, 'utf8')
}
