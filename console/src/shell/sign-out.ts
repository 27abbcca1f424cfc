import { csrfHeader, csrfTokenInUse } from '../api/client.ts'

/** Ends this session of the reader, here and at the gateway; `everywhere`: all of theirs, of terminals too. */
export async function signOut(everywhere: boolean): Promise<void> {
  await fetch(`/auth/sign-out${everywhere ? '?everywhere=true' : ''}`, {
    method: 'POST',
    headers: { [csrfHeader]: csrfTokenInUse() },
  })
  window.location.assign(import.meta.env.BASE_URL)
}
