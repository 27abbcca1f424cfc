/** What the pages ask for, each under one key, so that what one page has fetched another need not. */
import { infiniteQueryOptions, queryOptions } from '@tanstack/react-query'
import { api, setCsrfToken, unwrap } from './client.ts'
import type {
  ApprovalView,
  ConnectionView,
  EntriesQuery,
  EntryView,
  Me,
  ReplayPage,
  SessionView,
  SinkView,
  StatsQuery,
  Status,
} from './views.ts'
import type {
  BrokenGlassView,
  GrantView,
  RestrictionView,
  TokenView,
  ToolView,
  UserView,
} from './access-views.ts'

export const meQuery = queryOptions({
  queryKey: ['me'],
  staleTime: 60_000,
  queryFn: async () => {
    const me = (await unwrap(api.GET('/api/v1/me'))) as unknown as Me
    setCsrfToken(me.csrf ?? '')
    return me
  },
})

export const statusQuery = queryOptions({
  queryKey: ['status'],
  refetchInterval: 5000,
  queryFn: async () => (await unwrap(api.GET('/api/v1/status'))) as unknown as Status,
})

export const connectionsQuery = queryOptions({
  queryKey: ['connections'],
  queryFn: async () =>
    (await unwrap(api.GET('/api/v1/connections'))).connections as unknown as readonly ConnectionView[],
})

export const statsQuery = (query: StatsQuery) =>
  queryOptions({
    queryKey: ['stats', query],
    placeholderData: earlier => earlier,
    queryFn: () => unwrap(api.GET('/api/v1/audit/stats', { params: { query } })),
  })

export const facetsQuery = (query: { readonly since?: string }) =>
  queryOptions({
    queryKey: ['facets', query],
    staleTime: 30_000,
    queryFn: async () => (await unwrap(api.GET('/api/v1/audit/facets', { params: { query } }))).facets,
  })

const pageSize = '100'

export const entriesQuery = (query: EntriesQuery) =>
  infiniteQueryOptions({
    queryKey: ['entries', query],
    initialPageParam: undefined as string | undefined,
    queryFn: async ({ pageParam }) => {
      const after = pageParam === undefined ? {} : { after: pageParam }
      const page = await unwrap(
        api.GET('/api/v1/audit/entries', {
          params: { query: { order: 'desc', limit: pageSize, ...query, ...after } },
        }),
      )
      return { ...page, entries: page.entries as unknown as readonly EntryView[] }
    },
    getNextPageParam: page => page.next,
  })

/** The newest few that match, for panels. */
export const newestQuery = (query: EntriesQuery) =>
  queryOptions({
    queryKey: ['newest', query],
    queryFn: async () => {
      const page = await unwrap(
        api.GET('/api/v1/audit/entries', { params: { query: { order: 'desc', limit: '8', ...query } } }),
      )
      return page.entries as unknown as readonly EntryView[]
    },
  })

export const entryQuery = (index: string) =>
  queryOptions({
    queryKey: ['entry', index],
    staleTime: Infinity,
    queryFn: async () =>
      (await unwrap(
        api.GET('/api/v1/audit/entries/{index}', { params: { path: { index } } }),
      )) as unknown as EntryView,
  })

export const receiptQuery = (index: string) =>
  queryOptions({
    queryKey: ['receipt', index],
    staleTime: Infinity,
    retry: 3,
    queryFn: async () =>
      (await unwrap(
        api.GET('/api/v1/audit/entries/{index}/receipt', { params: { path: { index } }, parseAs: 'text' }),
      )) as string,
  })

export const sessionsQuery = (query: {
  readonly identity?: string
  readonly connection?: string
  readonly running?: 'true'
}) =>
  infiniteQueryOptions({
    queryKey: ['sessions', query],
    initialPageParam: undefined as string | undefined,
    queryFn: async ({ pageParam }) => {
      const after = pageParam === undefined ? {} : { after: pageParam }
      const page = await unwrap(api.GET('/api/v1/sessions', { params: { query: { ...query, ...after } } }))
      return { ...page, sessions: page.sessions as unknown as readonly SessionView[] }
    },
    getNextPageParam: page => page.next,
  })

export const sessionQuery = (id: string) =>
  queryOptions({
    queryKey: ['session', id],
    queryFn: async () =>
      (await unwrap(
        api.GET('/api/v1/sessions/{id}', { params: { path: { id } } }),
      )) as unknown as SessionView,
  })

/** Each fetch of it is an entry of the log, so nothing refetches it unasked. */
export const replayQuery = (id: string) =>
  infiniteQueryOptions({
    queryKey: ['replay', id],
    staleTime: Infinity,
    refetchOnWindowFocus: false,
    refetchOnReconnect: false,
    initialPageParam: undefined as string | undefined,
    queryFn: async ({ pageParam }) => {
      const after = pageParam === undefined ? {} : { after: pageParam }
      return (await unwrap(
        api.GET('/api/v1/sessions/{id}/replay', {
          params: { path: { id }, query: { limit: '50', ...after } },
        }),
      )) as unknown as ReplayPage
    },
    getNextPageParam: page => page.next,
  })

export const approvalsQuery = (all: boolean) =>
  queryOptions({
    queryKey: ['approvals', all ? 'all' : 'open'],
    queryFn: async () => {
      const query = all ? { all: 'true' as const } : {}
      const { approvals } = await unwrap(api.GET('/api/v1/approvals', { params: { query } }))
      return approvals as unknown as readonly ApprovalView[]
    },
  })

export const approvalQuery = (id: string) =>
  queryOptions({
    queryKey: ['approval', id],
    queryFn: async () =>
      (await unwrap(
        api.GET('/api/v1/approvals/{id}', { params: { path: { id } } }),
      )) as unknown as ApprovalView,
  })

export const detectionsQuery = infiniteQueryOptions({
  queryKey: ['detections'],
  initialPageParam: undefined as string | undefined,
  queryFn: async ({ pageParam }) => {
    const query = { limit: '50', ...(pageParam === undefined ? {} : { after: pageParam }) }
    const page = await unwrap(api.GET('/api/v1/detections', { params: { query } }))
    return { ...page, entries: page.entries as unknown as readonly EntryView[] }
  },
  getNextPageParam: page => page.next,
})

export const restrictionsQuery = queryOptions({
  queryKey: ['restrictions'],
  queryFn: async () =>
    (await unwrap(api.GET('/api/v1/identities/suspended', { params: { query: { all: 'true' } } })))
      .restrictions as unknown as readonly RestrictionView[],
})

export const toolsQuery = queryOptions({
  queryKey: ['tools'],
  queryFn: async () => (await unwrap(api.GET('/api/v1/tools'))).tools as unknown as readonly ToolView[],
})

export const grantsQuery = queryOptions({
  queryKey: ['grants'],
  queryFn: async () => (await unwrap(api.GET('/api/v1/grants'))).grants as unknown as readonly GrantView[],
})

export const brokenGlassQuery = queryOptions({
  queryKey: ['break-glass'],
  queryFn: async () =>
    (await unwrap(api.GET('/api/v1/break-glass'))).break_glass as unknown as readonly BrokenGlassView[],
})

export const usersQuery = queryOptions({
  queryKey: ['users'],
  queryFn: async () => (await unwrap(api.GET('/api/v1/users'))).users as unknown as readonly UserView[],
})

export const tokensQuery = queryOptions({
  queryKey: ['tokens'],
  queryFn: async () => (await unwrap(api.GET('/api/v1/tokens'))).tokens as unknown as readonly TokenView[],
})

export const identitiesQuery = (name: string) =>
  infiniteQueryOptions({
    queryKey: ['identities', name],
    initialPageParam: undefined as string | undefined,
    queryFn: ({ pageParam }) =>
      unwrap(
        api.GET('/api/v1/identities', {
          params: {
            query: {
              ...(name === '' ? {} : { name }),
              ...(pageParam === undefined ? {} : { after: pageParam }),
            },
          },
        }),
      ),
    getNextPageParam: page => page.next,
  })

export const savedSearchesQuery = queryOptions({
  queryKey: ['saved-searches'],
  queryFn: async () => (await unwrap(api.GET('/api/v1/saved-searches'))).searches,
})

export const sinksQuery = queryOptions({
  queryKey: ['sinks'],
  refetchInterval: 5000,
  queryFn: async () => (await unwrap(api.GET('/api/v1/export'))).sinks as unknown as readonly SinkView[],
})

export const deadLettersQuery = (sink: string) =>
  queryOptions({
    queryKey: ['dead-letters', sink],
    queryFn: async () =>
      (await unwrap(api.GET('/api/v1/export/{sink}/dead-letters', { params: { path: { sink } } }))).letters,
  })

export const keysQuery = queryOptions({
  queryKey: ['keys'],
  queryFn: () => unwrap(api.GET('/api/v1/audit/keys')),
})

export const holdsQuery = queryOptions({
  queryKey: ['holds'],
  queryFn: () => unwrap(api.GET('/api/v1/holds')),
})

export const policyQuery = queryOptions({
  queryKey: ['policy'],
  queryFn: () => unwrap(api.GET('/api/v1/policy')),
})

export const checkQuery = (policy: string) =>
  queryOptions({
    queryKey: ['policy-check', policy],
    staleTime: Infinity,
    gcTime: 60_000,
    queryFn: () => unwrap(api.POST('/api/v1/policy/check', { body: { policy } })),
  })

export const logQuery = queryOptions({
  queryKey: ['log'],
  refetchInterval: 5000,
  queryFn: () => unwrap(api.GET('/api/v1/log')),
})

export const providersQuery = queryOptions({
  queryKey: ['sign-in'],
  queryFn: async () => (await unwrap(api.GET('/api/v1/sign-in'))).providers,
})
