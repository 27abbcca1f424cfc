/** Asks one witness for its cosignature (C2SP tlog-witness, `add-checkpoint`). */
import { parseNote, signedBy, type VerifierKey } from '../audit/verify/signed-note.ts'
import { formatSubmission } from './submission.ts'

/** How a witness answered. Only `cosigned` is a cosignature; `forked` and `ahead` are evidence against the log. */
export type WitnessReply =
  | { readonly result: 'cosigned'; readonly line: string; readonly time: number }
  | { readonly result: 'ahead'; readonly size: number; readonly detail: string }
  | {
      readonly result: 'forked' | 'unknown-log' | 'unknown-key' | 'invalid' | 'failed'
      readonly detail: string
    }

export interface Asking {
  /** Submission prefix. */
  readonly url: string
  readonly key: VerifierKey
  /** The checkpoint as the log signed it, and its size. */
  readonly note: string
  readonly size: number
  /** The size that the witness was last known to have; 0 where that is not known. */
  readonly old: number
  readonly prove: (old: number, size: number) => Promise<readonly Buffer[]>
  readonly signal: AbortSignal
}

const largestAnswer = 64 * 1024

/** Never throws. Where the witness knows another size than `old`, it is asked once more from that one. */
export async function askWitness(asking: Asking): Promise<WitnessReply> {
  try {
    let old = asking.old
    for (let tries = 0; tries < 2; tries++) {
      const reply = await submit(asking, old)
      if (!('known' in reply)) return reply
      if (reply.known > asking.size) return ahead(reply.known, asking.size)
      // The witness has this very size and says no: it has seen another tree of it.
      if (reply.known === old && old === asking.size) return forked(asking.size)
      old = reply.known
    }
    return { result: 'failed', detail: 'the witness does not keep to the size that it said' }
  } catch (error) {
    return { result: 'failed', detail: reasonOf(error) }
  }
}

async function submit(asking: Asking, old: number): Promise<WitnessReply | { readonly known: number }> {
  const { url, note, size, prove, signal } = asking
  const proof = await prove(old, size)
  const response = await fetch(`${url.replace(/\/$/, '')}/add-checkpoint`, {
    method: 'POST',
    body: formatSubmission(old, proof, note),
    redirect: 'error',
    signal,
  })
  const body = await readBounded(response)
  switch (response.status) {
    case 200:
      return cosignatureOf(asking, body)
    case 409: {
      const known = /^(0|[1-9]\d{0,14})\n$/.exec(body)?.[1]
      if (known !== undefined) return { known: Number(known) }
      // A conflict without a size: two trees of the same size.
      return old === size ? forked(size) : { result: 'failed', detail: 'a conflict that says no size' }
    }
    case 422:
      return { result: 'forked', detail: `the witness finds no growth from ${old} to ${size} entries` }
    case 404:
      return { result: 'unknown-log', detail: 'the witness does not know this log' }
    case 403:
      return { result: 'unknown-key', detail: 'the witness does not know the key that signs' }
    case 400:
      return { result: 'invalid', detail: 'the witness does not take what was sent' }
    default:
      return { result: 'failed', detail: `status ${response.status}` }
  }
}

/** Only a signature by the configured key over this very checkpoint counts; any other line is ignored. */
function cosignatureOf({ note, key }: Asking, lines: string): WitnessReply {
  const cosigned = parseNote(Buffer.from(note + lines))
  const line = lines
    .split('\n')
    .map(each => ({
      each,
      note: parseNote(Buffer.from(`${note.slice(0, note.indexOf('\n\n') + 2)}${each}\n`)),
    }))
    .find(({ note: alone }) => alone !== undefined && signedBy(alone, key) === true)
  if (cosigned === undefined || line === undefined)
    return { result: 'failed', detail: 'the answer holds no signature of the witness' }
  const time = Number(line.note!.signatures[0]!.signature.readBigUInt64BE())
  return { result: 'cosigned', line: `${line.each}\n`, time }
}

function ahead(known: number, size: number): WitnessReply {
  return {
    result: 'ahead',
    size: known,
    detail: `the witness has seen ${known} entries; the log holds ${size}`,
  }
}

function forked(size: number): WitnessReply {
  return { result: 'forked', detail: `the witness has seen another tree of ${size} entries` }
}

async function readBounded(response: Response): Promise<string> {
  const chunks: Uint8Array[] = []
  let length = 0
  for await (const chunk of response.body ?? []) {
    const bytes: Uint8Array = chunk
    length += bytes.length
    if (length > largestAnswer) throw new Error('the answer is too large')
    chunks.push(bytes)
  }
  return Buffer.concat(chunks).toString()
}

function reasonOf(error: unknown): string {
  const { name, cause, message } = error as Error
  if (name === 'TimeoutError' || name === 'AbortError') return 'no answer in time'
  const code = (cause as NodeJS.ErrnoException | undefined)?.code
  return code ?? message
}
