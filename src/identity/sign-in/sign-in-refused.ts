import type { RefusalReason } from '../refusals.ts'

/** A sign-in that proves nobody. The reason is for the entry; the person hears that it did not work. */
export class SignInRefused extends Error {
  override readonly name = 'SignInRefused'
  readonly reason: RefusalReason
  readonly detail: string

  constructor(reason: RefusalReason, detail: string) {
    super(`${reason}: ${detail}`)
    this.reason = reason
    this.detail = detail
  }
}
