import { csrfHeader, csrfTokenInUse } from '../api/client.ts'

/** Ends this session of the reader, here and at the gateway. */
export async function signOut(): Promise<void> {
  await fetch('/auth/sign-out', { method: 'POST', headers: { [csrfHeader]: csrfTokenInUse() } })
  window.location.assign(import.meta.env.BASE_URL)
}
