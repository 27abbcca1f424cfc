import { fileURLToPath } from 'node:url'
import type { Identify } from '../../api/handler.ts'
import type { Role } from '../../api/route.ts'
import type { Services } from '../../api/services.ts'
import type { Subject } from '../../model/subject.ts'
import { refusedIdentities } from '../../protocols/refused-identities.ts'
import { createAuthPages } from './auth-pages.ts'
import { createConsoleFiles } from './console-files.ts'
import { identifyByCookie } from './identify-browser.ts'

/** Where entries say that a sign-in was refused. */
const place = { name: 'sign-in', protocol: 'api', sensitivity: 'high' } as const
const consoleFiles = fileURLToPath(new URL('../../../console/dist', import.meta.url))

/** What browsers get: pages to sign in, the console, and the API by their session's cookie. */
export function openBrowserSide(parts: {
  readonly services: Services
  readonly rolesOf: (subject: Subject) => ReadonlySet<Role>
  readonly otherwise: Identify
}) {
  const { services, rolesOf, otherwise } = parts
  const { signIn, audit, logger, gateway } = services
  const auth = createAuthPages({
    signIn,
    logger,
    refused: refusedIdentities(audit, place),
    publicUrl: () => gateway.publicUrl,
  })
  const identify = identifyByCookie({ find: cookie => signIn.find(cookie), rolesOf, otherwise })
  return { identify, browser: { auth, console: createConsoleFiles(consoleFiles) } }
}
