import type { Route } from './route.ts'
import { approvalRoutes } from './routes/approvals.ts'
import { auditRoutes } from './routes/audit.ts'
import { budgetRoutes } from './routes/budgets.ts'
import { complianceRoutes } from './routes/compliance.ts'
import { detectionRoutes } from './routes/detections.ts'
import { exportRoutes } from './routes/export.ts'
import { grantRoutes } from './routes/grants.ts'
import { identityRoutes } from './routes/identities.ts'
import { keyRoutes } from './routes/keys.ts'
import { logRoutes } from './routes/log.ts'
import { policyRoutes } from './routes/policy.ts'
import { meRoutes } from './routes/me.ts'
import { recordingRoutes } from './routes/recordings.ts'
import { reenactmentRoutes } from './routes/reenactments.ts'
import { restrictionRoutes } from './routes/restrictions.ts'
import { retentionRoutes } from './routes/retention.ts'
import { savedSearchRoutes } from './routes/saved-searches.ts'
import { sessionRoutes } from './routes/sessions.ts'
import { slackRoutes } from './routes/slack.ts'
import { statsRoutes } from './routes/stats.ts'
import { systemRoutes } from './routes/system.ts'
import { toolRoutes } from './routes/tools.ts'
import { tokenRoutes } from './routes/tokens.ts'
import { upstreamGrantRoutes } from './routes/upstream-grants.ts'
import { userRoutes } from './routes/users.ts'

/** Every route of the API. */
export const allRoutes: readonly Route[] = [
  ...systemRoutes,
  ...policyRoutes,
  ...meRoutes,
  ...auditRoutes,
  ...logRoutes,
  ...statsRoutes,
  ...savedSearchRoutes,
  ...identityRoutes,
  ...keyRoutes,
  ...sessionRoutes,
  ...recordingRoutes,
  ...reenactmentRoutes,
  ...retentionRoutes,
  ...complianceRoutes,
  ...approvalRoutes,
  ...grantRoutes,
  ...slackRoutes,
  ...tokenRoutes,
  ...userRoutes,
  ...exportRoutes,
  ...budgetRoutes,
  ...upstreamGrantRoutes,
  ...detectionRoutes,
  ...restrictionRoutes,
  ...toolRoutes,
]
