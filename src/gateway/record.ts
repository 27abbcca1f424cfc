import type { ActionResult } from '../audit/audit.ts'
import type { Obligations } from '../model/decision.ts'
import type { Recorder } from '../recording/recorder.ts'
import type { Exchange, Masked, Recorded } from './exchange.ts'
import type { Gateway } from './gateway.ts'
import type { Session } from './session.ts'

type Sealed = Pick<ActionResult, 'recording' | 'blob'>

/** The recording of one action from its request to its end. Sealed once, however the action ends. */
export interface Recording {
  readonly recorder: Recorder
  seal(): Promise<Sealed>
  /** The result of an action that never went upstream: the request alone. */
  refused(): Promise<{ result: ActionResult } | Record<never, never>>
  /** As `seal`, for an action that failed: never throws, since the failure must still be written. */
  salvage(): Promise<Sealed>
}

/** Begins with the request, masked: what a client sends is masked before it is kept. */
export function startRecording(
  gateway: Gateway,
  session: Session,
  of: { readonly exchange: Exchange; readonly obligations: Obligations },
): Recording {
  const { exchange, obligations } = of
  const recorder = gateway.recorder(session, exchange.action, obligations)
  const { mask, maskRequest } = obligations
  const profiles = maskRequest.length === 0 ? mask : [...mask, ...maskRequest]
  exchange.record(recorder, gateway.masker(profiles, session.target))
  let sealed: Promise<Sealed> | undefined
  const seal = (): Promise<Sealed> => (sealed ??= recorder.seal().then(done => done ?? {}))
  return {
    recorder,
    seal,
    async refused() {
      const result = { success: false, facts: {}, bytesIn: 0, bytesOut: 0, masked: { count: 0, kinds: [] } }
      return { result: { ...result, ...(await seal()) } }
    },
    async salvage() {
      try {
        return await seal()
      } catch {
        return {}
      }
    },
  }
}

/** Mirrors the masked reply into the recording. The only maker of Recorded. */
export function record(recording: Recording, masked: Masked): Recorded {
  masked.reply.record(recording.recorder)
  return { reply: masked.reply, recorder: recording.recorder } as Recorded
}
