import type { Subject } from '../../model/subject.ts'
import type { Identified, IdentityProvider, PresentedCredential } from '../authenticator.ts'

const prefix = 'sps_'

/** The token of a terminal for the secret of its session, and back; undefined for another credential. */
export function terminalToken(secret: string): string {
  return `${prefix}${secret}`
}

export function terminalSecret(token: string): string | undefined {
  return token.startsWith(prefix) ? token.slice(prefix.length) : undefined
}

/** What is asked of a session. */
export interface TerminalSession {
  readonly subject: Subject
  readonly expires: number
  readonly ended: AbortSignal
}

/**
 * Recognizes terminals that a person let in with a browser (`sallyport login`). They are that person, as long as the
 * session lasts; who signs out everywhere signs them out too.
 */
export function terminalSessions(
  find: (secret: string) => Promise<TerminalSession | undefined>,
): IdentityProvider {
  return {
    recognizes: ({ token }: PresentedCredential) => token.startsWith(prefix),
    async identify({ token }: PresentedCredential): Promise<Identified> {
      const session = await find(terminalSecret(token) ?? '')
      if (session === undefined) return { refusal: { reason: 'session-over' } }
      const { subject, expires, ended } = session
      return { subject: { ...subject, expiresAt: expires }, ended }
    },
    status: () => [],
    warm: () => Promise.resolve(),
    close: () => Promise.resolve(),
  }
}
