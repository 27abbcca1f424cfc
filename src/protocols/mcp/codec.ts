/**
 * Bytes to messages and back, pure. A message is decoded once: what policy judges is the value that is written again
 * for the other side, so no second parser sees something else. Integers that a double can't hold stay exact, as
 * bigints; a document that repeats a key, or has a number beyond all doubles, is no message at all.
 */
import { parseUnambiguous } from '../../unambiguous-json.ts'
import { maxDepth, readJson } from '../http/json.ts'
import { codes, isFields, RpcError, type RequestId, type RpcMessage } from './rpc.ts'

/** A run of digits that may be more than a double holds. */
const longDigits = /[0-9]{16}/
const integer = /^-?[0-9]+$/
/** An exponent that may be more than a double holds. */
const longExponent = /[0-9][eE]\+?0*[0-9]{3}/

/** Of ES2026 and in V8 already, while the type declarations lack it. */
const { rawJSON: rawJson } = JSON as unknown as { rawJSON(text: string): unknown }

/**
 * The message in these bytes. Throws RpcError: `parse` where they are no JSON (or repeat a key, or are nested deeper
 * than 256), `invalidRequest` where the JSON is no single JSON-RPC message; batches exist in 2025-03-26 alone and are
 * not taken.
 */
export function readMessage(bytes: Buffer): RpcMessage {
  const read = readJson(bytes)
  const value = read === undefined ? undefined : exact(read)
  if (value === undefined)
    throw new RpcError(
      codes.parse,
      'Parse error: not JSON, or JSON that repeats a key or has no exact meaning',
    )
  return messageOf(value)
}

/** Undefined for a number that JSON can write and nothing here can hold: it would go on as another value. */
function exact({ value, text }: { readonly value: unknown; readonly text: string }): unknown {
  if (!longDigits.test(text) && !longExponent.test(text)) return value
  let lost = false
  const readLeaf = (each: unknown, source: string | undefined): unknown => {
    if (typeof each !== 'number' || Number.isSafeInteger(each) || source === undefined) return each
    if (integer.test(source)) return BigInt(source)
    lost ||= !Number.isFinite(each)
    return each
  }
  const found = parseUnambiguous(text, { maxDepth, readLeaf })
  return lost ? undefined : found?.value
}

function messageOf(value: unknown): RpcMessage {
  if (!isFields(value) || value['jsonrpc'] !== '2.0') throw invalid('not one JSON-RPC 2.0 message')
  const { id, method, params } = value
  if (method === undefined) return responseOf(value)
  if (typeof method !== 'string' || method === '' || method.length > 256)
    throw invalid('the method is not valid')
  if (params !== undefined && !isFields(params)) {
    throw new RpcError(codes.invalidParams, 'params must be an object')
  }
  const given = params ?? {}
  if (!('id' in value)) return { kind: 'notification', method, params: given }
  if (!isId(id)) throw invalid('the id must be a string or an integer')
  return { kind: 'request', id, method, params: given }
}

function responseOf(value: Readonly<Record<string, unknown>>): RpcMessage {
  const { id = null, result, error } = value
  if (id !== null && !isId(id)) throw invalid('the id must be a string or an integer')
  if (isFields(result) && error === undefined) return { kind: 'response', id, result }
  if (result === undefined && isFields(error)) {
    const { code, message, data } = error
    if (typeof code === 'number' && typeof message === 'string')
      return { kind: 'response', id, error: { code, message, ...(data === undefined ? {} : { data }) } }
  }
  throw invalid('neither a request nor a response')
}

function isId(id: unknown): id is RequestId {
  return (typeof id === 'string' && id.length <= 1024) || (typeof id === 'number' && Number.isFinite(id))
}

function invalid(why: string): RpcError {
  return new RpcError(codes.invalidRequest, `Invalid request: ${why}`)
}

/** The message as JSON text, with no line break in it. */
export function writeMessage(message: RpcMessage): string {
  const { kind, ...members } = message
  if (kind === 'request' || kind === 'notification') {
    const { params, ...head } = members as { params: object }
    const given = Object.keys(params).length === 0 ? {} : { params }
    return writeJson({ jsonrpc: '2.0', ...head, ...given })
  }
  return writeJson({ jsonrpc: '2.0', ...members })
}

/** As JSON.stringify, bigints as the integers they are. */
export function writeJson(value: unknown, indent?: number): string {
  try {
    return JSON.stringify(value, undefined, indent)
  } catch (error) {
    if (!(error instanceof TypeError)) throw error
    const exactly = (_key: string, each: unknown): unknown =>
      typeof each === 'bigint' ? rawJson(String(each)) : each
    return JSON.stringify(value, exactly, indent)
  }
}

/** Reads a text that may be JSON, as `readMessage` reads: undefined where it is none. */
export function readValue(text: string): unknown {
  const read = readJson(Buffer.from(text))
  return read === undefined ? undefined : exact(read)
}

const sentinel = /^=\?base64\?([A-Za-z0-9+/]*={0,2})\?=$/

/** A header's value as the body would say it (streamable-http, "Value Encoding"); undefined where it is not valid. */
export function decodeHeaderValue(value: string): string | undefined {
  if (!value.startsWith('=?base64?') || !value.endsWith('?=')) {
    return /^[\t\x20-\x7e]*$/.test(value) ? value : undefined
  }
  const encoded = sentinel.exec(value)?.[1]
  if (encoded === undefined) return undefined
  const bytes = Buffer.from(encoded, 'base64')
  if (bytes.toString('base64').replace(/=+$/, '') !== encoded.replace(/=+$/, '')) return undefined
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    return undefined
  }
}

/** A value as a header may hold it. */
export function encodeHeaderValue(value: string): string {
  const plain = /^[\x21-\x7e](?:[\t\x20-\x7e]*[\x21-\x7e])?$/.test(value)
  const looksEncoded = value.startsWith('=?base64?') && value.endsWith('?=')
  return plain && !looksEncoded ? value : `=?base64?${Buffer.from(value).toString('base64')}?=`
}
