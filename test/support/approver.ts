/** A person who decides approvals, over the API and with a token of their own. */
import assert from 'node:assert/strict'
import type { ApprovalView } from '../../src/cli/approval-text.ts'
import { until } from './until.ts'

export interface Approver {
  /** What is open, newest first. */
  open(): Promise<ApprovalView[]>
  /** Waits until this many are pending. */
  pending(count?: number): Promise<ApprovalView[]>
  vote(id: string, effect: 'approve' | 'deny'): Promise<{ status: number; body: Record<string, unknown> }>
  /** Waits for one to be pending, and approves it after so many milliseconds. */
  approveNext(afterMs?: number): Promise<ApprovalView>
}

export function approver(url: string, token: string): Approver {
  const ask = async (path: string, method = 'GET'): Promise<{ status: number; body: unknown }> => {
    const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' }
    const response = await fetch(`${url}/api/v1/approvals${path}`, {
      method,
      headers,
      ...(method === 'POST' ? { body: '{}' } : {}),
    })
    return { status: response.status, body: (await response.json()) as unknown }
  }
  const person: Approver = {
    async open() {
      return ((await ask('?limit=1000')).body as { approvals: ApprovalView[] }).approvals
    },
    pending: (count = 1) =>
      until(`${count} pending`, async () => {
        const found = (await person.open()).filter(each => each.state === 'pending')
        return found.length >= count && found
      }),
    async vote(id, effect) {
      const { status, body } = await ask(`/${id}/${effect}`, 'POST')
      return { status, body: body as Record<string, unknown> }
    },
    async approveNext(afterMs = 0) {
      const [next] = await person.pending()
      if (afterMs > 0) await new Promise(resolve => setTimeout(resolve, afterMs))
      const { status, body } = await person.vote(next!.id, 'approve')
      assert.equal(status, 200, JSON.stringify(body))
      return next!
    },
  }
  return person
}
