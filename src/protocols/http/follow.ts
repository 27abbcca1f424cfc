/**
 * The addresses under a connection that are the gateway's own and never forwarded. `/.sallyport/approvals/<id>` is
 * where a client follows its approval: it waits there, and gets the answer of the call that was kept for it.
 */
import { GatewayError } from '../../errors.ts'
import type { Followed } from '../../gateway/deferrals.ts'
import type { Gateway } from '../../gateway/gateway.ts'
import type { Connection } from '../../model/connection.ts'
import type { Subject } from '../../model/subject.ts'
import type { Downstream } from './downstream.ts'
import type { Flavour } from './flavour.ts'
import type { KeptCall } from './kept-call.ts'
import { readKeptCall } from './kept-call.ts'
import { approvalStatus, denied, sendRefused } from './refusal.ts'
import type { RequestHead } from './request.ts'

const reserved = '/.sallyport'
const approvals = `${reserved}/approvals/`

/** Whether a canonical path is the gateway's own. */
export function isReserved(path: string): boolean {
  return path === reserved || path.startsWith(`${reserved}/`)
}

/** Where the client of this request follows an approval: a reference without an origin, and one with. */
export function approvalAddress(
  of: { readonly head: RequestHead; readonly base: string; readonly downstream: Downstream },
  id: string,
): { readonly path: string; readonly url: string } {
  const path = `${of.base}${approvals}${id}`
  if (of.head.authority === '') return { path, url: path }
  const scheme = 'encrypted' in of.downstream.request.socket ? 'https' : 'http'
  return { path, url: `${scheme}://${of.head.authority}${path}` }
}

export interface Asking {
  readonly connection: Connection
  readonly gateway: Gateway
  readonly flavour: Flavour
  readonly downstream: Downstream
  readonly head: RequestHead
  readonly base: string
  readonly subject: Subject
}

/**
 * Answers such a request. Gives the kept call where it is approved, for the caller to perform with this client as
 * the one that gets the answer; undefined where the answer was sent.
 */
export async function followApproval(
  asking: Asking,
): Promise<{ readonly id: string; readonly call: KeptCall } | undefined> {
  const { head, gateway, flavour, downstream } = asking
  if (head.method !== 'GET' && head.method !== 'HEAD') throw new GatewayError('method-not-allowed')
  const id = head.judged.startsWith(approvals) ? head.judged.slice(approvals.length) : ''
  const found = /^ap_[0-9a-z]{1,64}$/.test(id) ? await look(asking, id) : undefined
  if (found === undefined) throw new GatewayError('not-found', { detail: 'no such approval of yours here' })
  if (downstream.gone) return undefined
  const { approval, denial } = found
  const { url, path } = approvalAddress(asking, id)
  if (denial !== undefined) {
    sendRefused(downstream, denied(denial, { flavour, url, followed: true }), head.hasBody)
    return undefined
  }
  const bytes = approval.state === 'approved' ? await gateway.deferrals?.find(id) : undefined
  if (bytes === undefined || head.method === 'HEAD') {
    const status = approval.state === 'pending' || bytes !== undefined ? 202 : 200
    sendRefused(downstream, approvalStatus(approval, { status, url, path }), head.hasBody)
    return undefined
  }
  return { id, call: await readKeptCall(bytes, flavour.settings.limits.judged_body) }
}

async function look(asking: Asking, approval: string): Promise<Followed | undefined> {
  const { gateway, connection, subject, downstream, flavour } = asking
  const left = new AbortController()
  downstream.onGone(() => left.abort())
  const ms = Math.min(secondsAsked(asking.head) * 1000, flavour.settings.hold.longest)
  return await gateway.deferrals?.follow(
    { subject, connection: connection.name, approval },
    { ms, signal: left.signal },
  )
}

/** `Prefer: wait=N`, or `?wait=N` for clients that can't set headers; nobody waits who does not ask to. */
function secondsAsked({ waitSeconds, query }: RequestHead): number {
  if (waitSeconds !== undefined) return waitSeconds
  const value = query.find(part => part.name === 'wait')?.value ?? ''
  return /^[0-9]{1,5}$/.test(value) ? Number(value) : 0
}
