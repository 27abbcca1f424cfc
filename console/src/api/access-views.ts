/** What the API answers about who may what: beyond what `openapi.json` fixes, as in `views.ts`. */
import type { Principal, SubjectView } from './views.ts'

export interface RestrictionView {
  readonly id: string
  readonly kind: 'suspend' | 'ask' | 'slow'
  readonly state: 'in-force' | 'over' | 'cleared'
  readonly who: Principal
  readonly reason: string
  readonly detector?: string
  readonly since: string
  readonly until?: string
}

interface Definition {
  readonly pin: string
  readonly seen_at: string
  readonly definition?: unknown
}

/** Something that an upstream offers by name. */
export interface ToolView {
  readonly connection: string
  readonly server: string
  readonly name: string
  readonly state: 'accepted' | 'changed' | 'new'
  readonly accepted?: Definition & { readonly by: string }
  readonly waiting?: Definition
}

export interface GrantView {
  readonly id: string
  readonly state: 'proposed' | 'active' | 'revoked' | 'expired'
  readonly to: Principal
  readonly on_behalf_of?: Principal
  readonly connection: string
  readonly operations: readonly string[]
  readonly risks: readonly string[]
  readonly reason: string
  readonly given_by: readonly string[]
  readonly until: string
}

export interface BrokenGlassView {
  readonly id: string
  readonly state: 'active' | 'over'
  readonly by: Principal
  readonly connection: string
  readonly reason: string
  readonly created: string
  readonly until: string
}

export interface UserView {
  readonly id: string
  readonly email: string
  readonly name?: string
  readonly roles: readonly string[]
  readonly groups: readonly string[]
  /** False until the link of the invitation was used. */
  readonly active: boolean
  readonly created: string
}

export interface TokenView {
  readonly id: string
  readonly name: string
  readonly subject: Pick<SubjectView, 'id' | 'kind' | 'name' | 'email'>
  readonly groups: readonly string[]
  readonly created: string
  readonly expires: string
  readonly last_used?: string
  readonly revoked?: string
}
