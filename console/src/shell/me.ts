import { useSuspenseQuery } from '@tanstack/react-query'
import { meQuery } from '../api/queries.ts'
import type { Me } from '../api/views.ts'
import type { Role } from './places.ts'

/** Who reads. The shell shows nothing before it is known. */
export function useMe(): Me & { readonly is: (role: Role) => boolean } {
  const { data } = useSuspenseQuery(meQuery)
  return { ...data, is: role => data.roles.includes(role) }
}
