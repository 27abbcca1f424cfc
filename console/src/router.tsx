import {
  createRootRouteWithContext,
  createRoute,
  createRouter,
  lazyRouteComponent,
  redirect,
} from '@tanstack/react-router'
import type { QueryClient } from '@tanstack/react-query'
import { meQuery } from './api/queries.ts'
import { Problem } from './api/client.ts'
import { Empty, Failed } from './parts/states.tsx'
import { Shell } from './shell/shell.tsx'
import { SignIn } from './pages/sign-in/sign-in.tsx'
import { liveSearch, overviewSearch, searchSearch, sessionSearch, sessionsSearch } from './search-params.ts'

const root = createRootRouteWithContext<{ readonly queries: QueryClient }>()({
  notFoundComponent: () => <Empty title="There is no such page" />,
})

const signIn = createRoute({
  getParentRoute: () => root,
  path: '/sign-in',
  component: SignIn,
  validateSearch: (search: Record<string, unknown>) => ({ to: text(search['to']) }),
})

/** Everything but the sign-in asks who reads; who is nobody is led there, and back. */
const shell = createRoute({
  getParentRoute: () => root,
  id: 'shell',
  component: Shell,
  errorComponent: ({ error, reset }) => <Failed error={error} onRetry={reset} />,
  beforeLoad: async ({ context, location }) => {
    try {
      await context.queries.ensureQueryData(meQuery)
    } catch (error) {
      if (!(error instanceof Problem) || error.status !== 401) throw error
      throw redirect({ to: '/sign-in', search: { to: location.href } })
    }
  },
})

function text(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined
}

const at = <Path extends string>(path: Path) => ({ getParentRoute: () => shell, path }) as const

const overview = createRoute({
  ...at('/'),
  validateSearch: overviewSearch,
  beforeLoad: async ({ context }) => {
    const { roles } = await context.queries.ensureQueryData(meQuery)
    // The overview is the auditors'; who only decides begins with what waits.
    if (!roles.includes('auditor')) throw redirect({ to: '/approvals' })
  },
  component: lazyRouteComponent(() => import('./pages/overview/overview.tsx'), 'Overview'),
})
const live = createRoute({
  ...at('/live'),
  validateSearch: liveSearch,
  component: lazyRouteComponent(() => import('./pages/live/live.tsx'), 'Live'),
})
const search = createRoute({
  ...at('/search'),
  validateSearch: searchSearch,
  component: lazyRouteComponent(() => import('./pages/search/search.tsx'), 'Search'),
})
const entry = createRoute({
  ...at('/entries/$index'),
  component: lazyRouteComponent(() => import('./pages/entry/entry.tsx'), 'Entry'),
})
const sessions = createRoute({
  ...at('/sessions'),
  validateSearch: sessionsSearch,
  component: lazyRouteComponent(() => import('./pages/sessions/sessions.tsx'), 'Sessions'),
})
const session = createRoute({
  ...at('/sessions/$id'),
  validateSearch: sessionSearch,
  component: lazyRouteComponent(() => import('./pages/session/session.tsx'), 'Session'),
})
const approvals = createRoute({
  ...at('/approvals'),
  component: lazyRouteComponent(() => import('./pages/approvals/approvals.tsx'), 'Approvals'),
})
const approval = createRoute({
  ...at('/approvals/$id'),
  component: lazyRouteComponent(() => import('./pages/approvals/approval.tsx'), 'Approval'),
})
const connections = createRoute({
  ...at('/connections'),
  component: lazyRouteComponent(() => import('./pages/connections/connections.tsx'), 'Connections'),
})
const identities = createRoute({
  ...at('/identities'),
  component: lazyRouteComponent(() => import('./pages/identities/identities.tsx'), 'Identities'),
})
const policy = createRoute({
  ...at('/policy'),
  component: lazyRouteComponent(() => import('./pages/policy/policy.tsx'), 'Policy'),
})
const log = createRoute({
  ...at('/log'),
  component: lazyRouteComponent(() => import('./pages/log/log.tsx'), 'Log'),
})
const sinks = createRoute({
  ...at('/sinks'),
  component: lazyRouteComponent(() => import('./pages/sinks/sinks.tsx'), 'Sinks'),
})
const detections = createRoute({
  ...at('/detections'),
  component: lazyRouteComponent(() => import('./pages/detections/detections.tsx'), 'Detections'),
})
const tools = createRoute({
  ...at('/tools'),
  component: lazyRouteComponent(() => import('./pages/tools/tools.tsx'), 'Tools'),
})
const exceptions = createRoute({
  ...at('/exceptions'),
  component: lazyRouteComponent(() => import('./pages/exceptions/exceptions.tsx'), 'Exceptions'),
})
const access = createRoute({
  ...at('/access'),
  component: lazyRouteComponent(() => import('./pages/access/access.tsx'), 'Access'),
})

const pages = [
  overview,
  live,
  search,
  entry,
  sessions,
  session,
  approvals,
  approval,
  connections,
  identities,
  policy,
  log,
  sinks,
  detections,
  tools,
  exceptions,
  access,
]
const routeTree = root.addChildren([signIn, shell.addChildren(pages)])

export function openRouter(queries: QueryClient) {
  return createRouter({
    routeTree,
    basepath: import.meta.env.BASE_URL,
    context: { queries },
    defaultPreload: 'intent',
    defaultErrorComponent: ({ error, reset }) => <Failed error={error} onRetry={reset} />,
    // Addresses are read and shared by people: plain `a=b`, nothing in JSON.
    parseSearch: found => Object.fromEntries(new URLSearchParams(found)),
    stringifySearch: given => {
      const kept = Object.entries(given).filter(([, value]) => value !== undefined && value !== '')
      const found = new URLSearchParams(kept.map(([key, value]) => [key, String(value)])).toString()
      return found === '' ? '' : `?${found}`
    },
  })
}

declare module '@tanstack/react-router' {
  interface Register {
    router: ReturnType<typeof openRouter>
  }
}
