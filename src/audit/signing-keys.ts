import type { Audit } from './audit.ts'
import type { Checkpointer } from './checkpoint.ts'

export interface SigningKey {
  readonly vkey: string
  readonly state: 'signing' | 'pending' | 'retired'
  /** Whether the gateway made it and replaces it, or it is in the configuration. */
  readonly managed: boolean
  /** When it stops signing, ISO 8601. */
  readonly until?: string
}

/** The keys that sign the log, for people; each step of their life is an entry. */
export interface SigningKeys {
  list(): SigningKey[]
  /** Resolves when both keys sign. Throws `conflict` where the keys are not the gateway's to replace, or not yet. */
  rotate(overlapMs: number, by: Readonly<Record<string, unknown>>): Promise<void>
}

/** How long both keys sign after a rotation that a crash interrupted, whose own overlap is not known. */
const resumedOverlapMs = 7 * 86_400_000

/**
 * Writes what a start did to the keys: made, or changed in the configuration. Goes on with a rotation that was
 * interrupted.
 */
export async function openSigningKeys(
  checkpointer: Checkpointer,
  audit: Pick<Audit, 'note'>,
): Promise<SigningKeys> {
  const rotate: SigningKeys['rotate'] = async (overlapMs, by) => {
    const until = Date.now() + overlapMs
    await checkpointer.rotate(until, ({ old, new: made }) =>
      audit.note('key.rotated', {
        purpose: 'log',
        step: 'overlap',
        old,
        new: made,
        until: new Date(until).toISOString(),
        ...by,
      }),
    )
  }
  for (const vkey of checkpointer.created) await audit.note('key.created', { purpose: 'log', vkey })
  const { earlier, vkeys, ring } = checkpointer
  const added = vkeys.filter(each => !earlier.includes(each))
  const removed = earlier.filter(each => !vkeys.includes(each))
  // In a ring, what changed was said when it was done.
  if (ring === undefined && earlier.length > 0 && added.length + removed.length > 0)
    await audit.note('key.rotated', { purpose: 'log', step: 'configured', added, removed })
  if (ring?.some(each => each.state === 'pending') === true) await rotate(resumedOverlapMs, {})
  return {
    rotate,
    list: () =>
      checkpointer.ring?.map(({ vkey, state, until }) => ({
        vkey,
        state,
        managed: true,
        ...(until === undefined ? {} : { until: new Date(until).toISOString() }),
      })) ?? checkpointer.vkeys.map(vkey => ({ vkey, state: 'signing', managed: false })),
  }
}
