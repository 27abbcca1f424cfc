import type { Lease } from '../credentials/lease.ts'
import type { Obligations } from '../model/decision.ts'
import type { Masked, Reply } from './exchange.ts'
import type { Gateway } from './gateway.ts'
import type { Session } from './session.ts'

/** Masks a reply by the obligations, and always by the lease's own secrets. The only maker of Masked. */
export function mask(
  gateway: Gateway,
  from: {
    readonly session: Session
    readonly reply: Reply
    readonly lease: Lease
    readonly obligations: Obligations
  },
): Masked {
  const masker = gateway.masker(from.obligations.mask, from.session.target, from.lease)
  return { reply: from.reply.mask(masker) } as Masked
}
