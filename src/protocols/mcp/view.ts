/**
 * The services of the path with another word on one decision. What a list shows is no more than its reader may use,
 * so it needs no rule of its own; what is in quarantine runs for nobody. Everything else is the gateway's.
 */
import type { Gateway } from '../../gateway/gateway.ts'
import type { Decision, Obligations, RecordLevel } from '../../model/decision.ts'

export function withDecision(gateway: Gateway, change: (decision: Decision) => Decision): Gateway {
  const { policy } = gateway
  return {
    audit: gateway.audit,
    authenticator: gateway.authenticator,
    sessions: gateway.sessions,
    credentials: gateway.credentials,
    approvals: gateway.approvals,
    guards: gateway.guards,
    ...(gateway.deferrals === undefined ? {} : { deferrals: gateway.deferrals }),
    ...(gateway.keeping === undefined ? {} : { keeping: gateway.keeping }),
    ...(gateway.meter === undefined ? {} : { meter: gateway.meter }),
    ...(gateway.observers === undefined ? {} : { observers: gateway.observers }),
    policy: {
      version: policy.version,
      demands: (...asked) => policy.demands(...asked),
      authorize: (...asked) => change(policy.authorize(...asked)),
      foresee: (...asked) => change(policy.foresee(...asked)),
    },
    masker: (...asked) => gateway.masker(...asked),
    recorder: (...asked) => gateway.recorder(...asked),
  }
}

/** Where no rule says anything, it is permitted; a rule that denies or asks stands, and so does a limit. */
export function impliedPermit(decision: Decision): Decision {
  const unsaid = decision.rule === undefined || decision.reason === 'insufficient-scope'
  const silent = unsaid && decision.retryAfterMs === undefined
  if (decision.effect !== 'deny' || !silent) return decision
  const { rule: _, message: __, scopes: ___, ...rest } = decision
  return { ...rest, effect: 'permit', reason: 'implied' }
}

/** What a person has approved and what has begun goes on: the server only asked for more. */
export function continued(decision: Decision): Decision {
  if (decision.effect !== 'ask') return decision
  const { approval: _, ...rest } = decision
  return { ...rest, effect: 'permit', reason: 'continuation' }
}

export function quarantined(decision: Decision): Decision {
  if (decision.effect === 'deny') return decision
  const { approval: _, message: __, rule: ___, scopes: ____, ...rest } = decision
  return { ...rest, effect: 'deny', reason: 'tool-quarantined' }
}

/** Denied where the other is. Arguments are not judged, so a rule that asks for them does not forbid. */
export function deniedWhere(other: Decision): (decision: Decision) => Decision {
  return own => {
    if (own.effect === 'deny' || other.effect !== 'deny' || (other.conditionErrors ?? []).length > 0)
      return own
    const { rule, message, reason, scopes } = other
    return {
      ...own,
      effect: 'deny',
      reason,
      ...(rule === undefined ? {} : { rule }),
      ...(message === undefined ? {} : { message }),
      ...(scopes === undefined ? {} : { scopes }),
    }
  }
}

/**
 * What follows a call (a look at its task, an answer to its questions) needs no rule of its own. It is denied where the
 * call would be, and treated as the call was.
 */
export function followUp(
  call: Decision,
  kept: Pick<Obligations, 'maskRequest' | 'record'> | undefined,
): (decision: Decision) => Decision {
  return decision => {
    const own = deniedWhere(call)(continued(impliedPermit(decision)))
    if (own.effect === 'deny') return own
    const { mask, maskRequest, record, ...rest } = own.obligations
    const { obligations: asked } = call
    return {
      ...own,
      obligations: {
        ...rest,
        mask: [...new Set([...mask, ...asked.mask])],
        maskRequest: [...new Set([...maskRequest, ...asked.maskRequest, ...(kept?.maskRequest ?? [])])],
        record: most(record, asked.record, kept?.record ?? 'none'),
      },
    }
  }
}

const byAmount: readonly RecordLevel[] = ['none', 'metadata', 'full']

function most(...levels: readonly RecordLevel[]): RecordLevel {
  return byAmount[Math.max(...levels.map(each => byAmount.indexOf(each)))]!
}
