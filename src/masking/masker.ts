/**
 * The masking engine as protocols see it. A Masker is compiled once per set of profiles and lease; it holds no
 * state of a request. What it finds is counted by kind, never kept.
 */

/** What was masked: how many values, and the kinds (`datadog-api-key`, `email`, ...) sorted. */
export interface MaskReport {
  readonly count: number
  readonly kinds: readonly string[]
}

/** What is known of a body from its head. */
export interface ContentMeta {
  /** The `Content-Type` as received, or undefined. */
  readonly type: string | undefined
  /** The `Content-Encoding` values in the order applied; empty: none. */
  readonly encodings: readonly string[]
}

/** A body on its way through the mask. */
export interface MaskedBody {
  readonly body: AsyncIterable<Buffer>
  /** The encodings of the bytes that come out: those that went in when nothing needed masking, else none. */
  readonly encodings: readonly string[]
  /** True where the bytes may differ from what came in, so that lengths and digests no longer hold. */
  readonly altered: boolean
  /** Complete once `body` has ended. */
  report(): MaskReport
}

export interface Masker {
  /** True when no rule can touch anything: bytes pass as they are. */
  readonly idle: boolean
  /** Of its rules: the same object for maskers that mask alike, but for values that never pass. */
  readonly rules: object
  /**
   * Masks a body while it streams, without waiting for the whole of it, save where `maxBuffered` bytes may be
   * needed. Throws GatewayError `mask-unable` (P8) for an encoding that can't be decoded, at once where the head
   * tells, else from the iteration.
   */
  body(body: AsyncIterable<Buffer>, meta: ContentMeta): MaskedBody
  /** Masks one header's value. */
  header(name: string, value: string): string
  /** Masks one query or form parameter's value, decoded. */
  parameter(name: string, value: string): string
  /** Masks a piece of text, such as an error message or a path segment. */
  text(text: string): string
  /** Masks a JSON value: rules by path and key, detectors on strings and on keys. Returns a copy where it changed. */
  json(value: unknown): unknown
  /** What `header`, `parameter`, `text` and `json` masked since the last call, for the entry. */
  takeReport(): MaskReport
}
