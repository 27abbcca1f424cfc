/** COPY from the client: its data on the way to the server, which may refuse it at any moment. */
import { GatewayError } from '../../errors.ts'
import type { Masker } from '../../masking/masker.ts'
import type { Recorder } from '../../recording/recorder.ts'
import type { Message } from './codec.ts'
import type { Host } from './host.ts'
import { eitherReadable } from './wire.ts'

/** Passes the data on until its end, or until the server has said how it ended. */
export async function copyIn(
  host: Host,
  response: Message,
  of: { readonly masker: Masker; readonly recorder: Recorder | undefined },
): Promise<void> {
  const { client, upstream } = host
  const { masker, recorder } = of
  client.send(response.bytes)
  await client.flush()
  for (;;) {
    const each = client.take()
    if (each === undefined) {
      if (client.ended) throw new GatewayError('client-gone')
      if (upstream.ended) throw new GatewayError('upstream-unreachable', { detail: 'the upstream broke off' })
      await upstream.flush()
      if (isOver(host, masker)) return
      await client.flush()
      await eitherReadable(client, upstream)
      // What the client still sends is dropped, as the server would.
      if (isOver(host, masker)) return
      continue
    }
    switch (each.type) {
      case 'd': {
        upstream.send(each.bytes)
        const behind = recorder?.write({ from: 'client', part: 'body', bytes: each.bytes.subarray(5) })
        if (behind !== undefined) await behind
        const full = upstream.flushWhenFull()
        if (full !== undefined) await full
        break
      }
      case 'c':
      case 'f':
        upstream.send(each.bytes)
        await upstream.flush()
        return
      case 'H':
      case 'S':
        // As the server: COPY data may be interspersed with Flush and Sync, which mean nothing here.
        upstream.send(each.bytes)
        break
      default:
        throw new GatewayError('invalid-request', { detail: `a message of type ${each.type} during COPY` })
    }
  }
}

/** Passes on notices, such as a trigger's. True: the server has said something else, which is how it ended. */
function isOver(host: Host, masker: Masker): boolean {
  const { upstream } = host
  for (;;) {
    const type = upstream.peek()
    if (type === undefined) return false
    if (!'NAS'.includes(type)) return true
    host.passed(upstream.take()!, masker)
  }
}
