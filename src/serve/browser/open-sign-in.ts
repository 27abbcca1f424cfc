import type { Audit } from '../../audit/audit.ts'
import type { Clock } from '../../clock.ts'
import { openSecret } from '../../credentials/references.ts'
import { SignIn, type SignInRules } from '../../identity/sign-in/sign-in.ts'
import type { Storage } from '../../storage/storage.ts'

export interface SignInOpening {
  readonly base: string
  readonly storage: Storage
  readonly audit: Audit
  readonly clock: Clock
  /** Asked for each time: it is there before anybody signs in, and not before this. */
  readonly gateway: () => { readonly publicUrl: string; readonly signInRules: SignInRules }
}

/** How people sign in with a browser, by the rules that the gateway has now. */
export function openSignIn({ base, storage, audit, clock, gateway }: SignInOpening): SignIn {
  return new SignIn({
    state: storage.state,
    audit,
    clock,
    base,
    rules: () => gateway().signInRules,
    publicUrl: () => gateway().publicUrl.replace(/\/+$/, ''),
    secret: reference => openSecret(reference, base),
  })
}
