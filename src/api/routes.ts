import type { Route } from './route.ts'
import { approvalRoutes } from './routes/approvals.ts'
import { auditRoutes } from './routes/audit.ts'
import { sessionRoutes } from './routes/sessions.ts'

/** Every route of the API. */
export const allRoutes: readonly Route[] = [...auditRoutes, ...sessionRoutes, ...approvalRoutes]
