/**
 * What the gateway reads for itself, such as the state that a request would change or what a server foresees of a
 * statement. Such a read takes the path like any action (an intent, a lease, the masks, an end), as the gateway's own
 * subject and under its own policy, which allows this one read and nothing else.
 */
import type { Exchange } from '../gateway/exchange.ts'
import type { Gateway } from '../gateway/gateway.ts'
import { perform } from '../gateway/perform.ts'
import { bothMaskers } from '../masking/both-maskers.ts'
import type { Masker } from '../masking/masker.ts'
import type { Connection } from '../model/connection.ts'
import type { Decision } from '../model/decision.ts'
import type { Subject } from '../model/subject.ts'

/** Who reads: the gateway itself. */
const ourselves: Subject = {
  issuer: 'sallyport',
  id: 'gateway',
  name: 'Sallyport',
  kind: 'service',
  groups: [],
  method: 'gateway',
  claims: { purpose: 'preview' },
}

/** Masks that what is read gets besides the given ones. */
const profiles = ['secrets']

/** Performs a read of the gateway's own to its end. Never rejects, as `perform`; what it found is in the exchange. */
export async function performOwn(
  gateway: Gateway,
  read: {
    readonly connection: Connection
    readonly exchange: Exchange
    /** Masks what is read, besides what masks secrets. */
    readonly masker: Masker
  },
): Promise<void> {
  const client = { ip: '127.0.0.1', port: 0, agent: 'sallyport preview' }
  const session = await gateway.sessions.resume(ourselves, read.connection, client)
  await perform(ownGateway(gateway, read.masker), session, read.exchange)
}

/** The services of the path with the gateway's own policy and with the masks of the action that is previewed. */
function ownGateway(gateway: Gateway, masker: Masker): Gateway {
  const decision: Decision = {
    effect: 'permit',
    reason: 'own-preview',
    matched: [],
    shadow: [],
    obligations: { mask: [], maskRequest: [], record: 'full', rateLimits: [] },
    policyVersion: gateway.policy.version,
  }
  const { audit, authenticator, sessions, credentials, approvals, meter } = gateway
  return {
    audit,
    authenticator,
    sessions,
    credentials,
    approvals,
    ...(meter === undefined ? {} : { meter }),
    guards: [],
    policy: {
      version: gateway.policy.version,
      demands: () => ({ body: false, resources: false }),
      authorize: () => decision,
      foresee: () => decision,
    },
    masker: (names, connection, lease) =>
      bothMaskers(masker, gateway.masker([...profiles, ...names], connection, lease)),
    recorder: (...asked) => gateway.recorder(...asked),
  }
}
