/** A request as it is kept for a client that comes back for the answer: all that the action was made of, no credential. */
import { GatewayError } from '../../errors.ts'
import type { ReadBody } from './action.ts'
import { judgedBody } from './body.ts'
import { parseQuery } from './codec.ts'
import type { RequestHead } from './request.ts'

/** Fields of the head that are kept as they are. */
type KeptHead = Omit<RequestHead, 'query' | 'tokens' | 'waitSeconds' | 'respondAsync' | 'expectsContinue'>

interface Kept {
  readonly v: 1
  readonly head: KeptHead
  /** As received, with what was stripped gone. */
  readonly query: string
  /** Base64; absent where there is no body. */
  readonly body?: string
}

/** A call that runs later, for the client that now asks for its answer. */
export interface KeptCall {
  readonly head: RequestHead
  readonly body: ReadBody | undefined
}

/** Undefined for what can't be kept: a body that was not read, or an answer that would not fit a GET (HEAD). */
export function writeKeptCall(head: RequestHead, body: ReadBody | undefined): Buffer | undefined {
  if (head.method === 'HEAD' || (head.hasBody && body === undefined)) return undefined
  const { query, tokens: _, waitSeconds: __, respondAsync: ___, expectsContinue: ____, ...kept } = head
  const call: Kept = {
    v: 1,
    head: kept,
    query: query.map(part => part.raw).join('&'),
    ...(body === undefined ? {} : { body: body.bytes.toString('base64') }),
  }
  return Buffer.from(JSON.stringify(call))
}

/** What `writeKeptCall` wrote. Its body is judged anew. `limit` as for any body that is judged. */
export async function readKeptCall(bytes: Buffer, limit: number): Promise<KeptCall> {
  const kept = JSON.parse(bytes.toString('utf8')) as Kept
  if (kept.v !== 1) throw new GatewayError('internal', { internal: 'a kept call of another version' })
  const { contentType, encodings } = kept.head
  const head: RequestHead = {
    ...kept.head,
    contentType,
    contentLength: kept.head.contentLength,
    range: kept.head.range,
    ifRange: kept.head.ifRange,
    agent: kept.head.agent,
    query: kept.query === '' ? [] : parseQuery(kept.query),
    tokens: [],
    waitSeconds: 0,
    respondAsync: true,
    expectsContinue: false,
  }
  if (kept.body === undefined) return { head, body: undefined }
  const body = Buffer.from(kept.body, 'base64')
  const judged = await judgedBody(body, { type: contentType, encodings, limit })
  return { head, body: { bytes: body, judged } }
}
