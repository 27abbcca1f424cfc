/** Sets of entry kinds that people ask for by one word; what the search sends as `kind`. */
export const kindSets = {
  actions: {
    label: 'Actions',
    kinds: [
      'action.completed',
      'action.failed',
      'action.denied',
      'action.not_forwarded',
      'action.outcome_unknown',
    ],
  },
  approvals: {
    label: 'Approvals',
    kinds: [
      'approval.requested',
      'approval.voted',
      'approval.granted',
      'approval.denied',
      'approval.expired',
      'approval.cancelled',
      'approval.consumed',
      'approval.returned',
      'grant.proposed',
      'grant.voted',
      'grant.created',
      'grant.revoked',
      'break_glass.used',
      'break_glass.ended',
    ],
  },
  access: {
    label: 'Sign-ins and sessions',
    kinds: [
      'identity.refused',
      'request.refused',
      'identity.signed_in',
      'identity.signed_out',
      'identity.linked',
      'identity.token_created',
      'identity.token_revoked',
      'session.started',
      'session.ended',
    ],
  },
  changes: {
    label: 'Changes',
    kinds: [
      'policy.changed',
      'policy.rejected',
      'connection.changed',
      'configuration.changed',
      'configuration.rejected',
      'key.created',
      'key.rotated',
      'hold.placed',
      'hold.release_requested',
      'hold.released',
      'erasure.done',
      'pruned',
    ],
  },
  detections: {
    label: 'Detections',
    kinds: [
      'detection.surge_found',
      'detection.volume_found',
      'detection.first_use_found',
      'detection.sweep_found',
      'detection.off_hours_found',
      'detection.denial_streak_found',
      'detection.silence_found',
    ],
  },
  readings: { label: 'Readings', kinds: ['recording.read', 'audit.read'] },
  everything: { label: 'Everything', kinds: [] },
} as const satisfies Readonly<Record<string, { label: string; kinds: readonly string[] }>>

export type KindSet = keyof typeof kindSets
