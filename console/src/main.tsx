import { QueryCache, QueryClient, QueryClientProvider } from '@tanstack/react-query'
import { RouterProvider } from '@tanstack/react-router'
import { StrictMode } from 'react'
import { createRoot } from 'react-dom/client'
import { Problem } from './api/client.ts'
import './design/base.css'
import './design/tokens.css'
import './design/parts.css'
import './design/shell.css'
import './design/pages.css'
import { openRouter } from './router.tsx'
import { applyTheme } from './shell/theme.ts'

applyTheme()

const queries = new QueryClient({
  queryCache: new QueryCache({
    onError(error, query) {
      // The session ended while the page was open: who reads is asked again, which leads to the sign-in.
      if (error instanceof Problem && error.status === 401 && query.queryKey[0] !== 'me') {
        queries.removeQueries({ queryKey: ['me'] })
        void router.invalidate()
      }
    },
  }),
  defaultOptions: {
    queries: {
      staleTime: 2000,
      // What the gateway refused it refuses again; what did not arrive may the next time.
      retry: (count, error) => !(error instanceof Problem && error.status < 500) && count < 2,
    },
  },
})
const router = openRouter(queries)

createRoot(document.getElementById('root')!).render(
  <StrictMode>
    <QueryClientProvider client={queries}>
      <RouterProvider router={router} />
    </QueryClientProvider>
  </StrictMode>,
)
