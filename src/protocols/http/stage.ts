/** Where recorded calls are made again: a sandbox, or the gateway as a client of it. */
import { request } from 'undici'
import type { ReplayCall, Stage, StageAnswer } from '../../gateway/reenact.ts'
import { readBody } from './recorded-call.ts'
import type { HttpCall } from './reenact.ts'

/** What a sandbox has besides its API: `GET` says that it is one, `PUT` below it puts an object at its place. */
const sandboxPath = '/_sandbox'
/** A call that is held for approval takes its time. */
const timeoutMs = 600_000
const largest = 16 * 1024 * 1024

export function openStage(base: string, headers: Readonly<Record<string, string>>): Stage {
  const root = base.replace(/\/+$/, '')
  const ask = async (
    method: string,
    target: string,
    body?: { readonly type: string; readonly text: string },
  ): Promise<Answered> => {
    const response = await request(root + target, {
      method: method as 'GET',
      headers: {
        accept: 'application/json',
        'user-agent': 'sallyport',
        ...headers,
        ...(body === undefined ? {} : { 'content-type': body.type }),
      },
      headersTimeout: timeoutMs,
      bodyTimeout: timeoutMs,
      ...(body === undefined ? {} : { body: body.text }),
    })
    const pieces: Buffer[] = []
    let length = 0
    for await (const piece of response.body as AsyncIterable<Buffer>) {
      length += piece.length
      if (length > largest) throw new Error(`${method} ${target}: the answer is too large`)
      pieces.push(piece)
    }
    const read = readBody(Buffer.concat(pieces))
    return { status: response.statusCode, value: read.value, exact: read.exact }
  }
  return {
    send: async given => answerOf(await ask(...argumentsOf(given))),
    async read(place) {
      const { status, value } = await ask('GET', place)
      if (status === 404) return undefined
      if (status !== 200 || value === undefined) throw new Error(`GET ${place} was answered with ${status}`)
      return value
    },
    async isSandbox() {
      const { status, value } = await ask('GET', sandboxPath)
      return status === 200 && memberOf(value, 'sandbox') === true
    },
    async plant(place, state) {
      const body = { type: 'application/json', text: JSON.stringify(state) }
      const { status } = await ask('PUT', sandboxPath + place, body)
      if (status >= 300) throw new Error(`the sandbox takes no ${place}: ${status}`)
    },
  }
}

interface Answered {
  readonly status: number
  readonly value: unknown
  readonly exact: boolean
}

function argumentsOf(given: ReplayCall): [string, string, { type: string; text: string }?] {
  const { method, target, type = 'application/json', text } = given as HttpCall
  return text === undefined ? [method, target] : [method, target, { type, text }]
}

function answerOf({ status, value }: Answered): StageAnswer {
  const isTaken = status >= 200 && status < 300
  const isDone = isTaken && status !== 202
  const approval = isDone ? undefined : memberOf(memberOf(value, 'approval'), 'id')
  const waits = typeof approval === 'string'
  const errors = memberOf(value, 'errors')
  const said = Array.isArray(errors) && typeof errors[0] === 'string' ? errors[0] : memberOf(value, 'detail')
  return {
    ok: isTaken && !waits,
    words: isDone || typeof said !== 'string' ? String(status) : `${status} ${said}`,
    ...(isDone && value !== undefined ? { state: value } : {}),
    ...(waits ? { approval } : {}),
  }
}

function memberOf(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[name] : undefined
}
