import type { Approvals } from '../approvals/approvals.ts'
import type { Audit } from '../audit/audit.ts'
import type { OpenSessions } from '../gateway/sessions.ts'
import type { Logger } from '../log.ts'
import type { Recordings } from '../recording/recordings.ts'
import type { Storage } from '../storage/storage.ts'

/** What routes act on. `main.ts` fills it. */
export interface Services {
  readonly audit: Audit
  readonly storage: Storage
  readonly sessions: OpenSessions
  readonly recordings: Recordings
  readonly approvals: Approvals
  readonly logger: Logger
}
