/**
 * The seam between HTTP as such and what one API makes of it. A flavour knows operations, hosts and credentials;
 * everything on the wire is `createHttpConnection`'s (connection.ts). Every function here is called on the request
 * path: pure, synchronous, no I/O.
 */
import type { RecordedChange, Unable } from '../../gateway/reenact.ts'
import type { Risk } from '../../model/action.ts'
import type { CommonSettings } from './settings.ts'

/** Where an operation lives. Make these once, with `upstreamBase`: their number bounds the number of pools. */
export interface UpstreamBase {
  /** Scheme and authority, `https://api.example.com` or with `:port`. */
  readonly origin: string
  /** The `Host` to send: authority without the scheme's default port. */
  readonly host: string
  /** Path prefix put before the canonical path, without a trailing slash: `` or `/v2`. */
  readonly prefix: string
}

/** What the flavour judges: the canonical form, which is also what is sent (but see `keepsEscapes`). */
export interface HttpTarget {
  /** As received; methods are case-sensitive (RFC 9110 section 9.1). */
  readonly method: string
  /** Canonical (codec.ts `canonicalPath`), begins with `/`, percent-encoded, without the connection's base. */
  readonly path: string
}

export interface HttpOperation {
  /** What rules select by: `v1.getMonitor`, `GET /users/{id}`. */
  readonly operation: string
  /** The matched path template, where one matched. */
  readonly template?: string
  /** Template parameters, percent-decoded. */
  readonly params: Readonly<Record<string, string>>
  /** Takes the place of the path in entries, approvals, recordings and conditions where the path holds a secret. */
  readonly resource?: string
  /** False where the catalogue does not have it. */
  readonly known: boolean
  readonly risk: Risk
  readonly upstream: UpstreamBase
  /** Mask profiles that this operation gets whatever policy says, both ways: it carries secrets. */
  readonly mask?: readonly string[]
  /** More facts for the entry, under its `http` member, such as a tag. Plain JSON, small, no secrets. */
  readonly facts?: Readonly<Record<string, unknown>>
}

/** What is added to a request so that the upstream knows the gateway. Values never reach a client or a record. */
export interface Injection {
  /** Name and value pairs. A client's headers of the same names are stripped beforehand. */
  readonly headers?: readonly (readonly [string, string])[]
  /** Name and value pairs, not yet percent-encoded. A client's parameters of the same names are stripped. */
  readonly query?: readonly (readonly [string, string])[]
}

/** Where clients of this flavour may put the gateway's token. All of these are stripped, with or without a token. */
export interface CredentialPlaces {
  /** Header names, lower case, tried in this order. `authorization` is read as Bearer, or as the password of Basic. */
  readonly headers: readonly string[]
  /** Query parameter names, exact, tried after the headers. */
  readonly query: readonly string[]
}

/** A problem document (RFC 9457) before it is sent. */
export type Problem = Readonly<Record<string, unknown>> & {
  readonly status: number
  readonly title: string
  readonly detail?: string
  readonly code: string
}

/** How to tell what an operation would change. */
export type PreviewPlan =
  /** The body is the resource to be. */
  | { readonly kind: 'create' }
  /** A GET of `path` gives the resource. `volatile`: fields that change without anybody's doing. */
  | {
      readonly kind: 'update' | 'delete'
      readonly path: string
      readonly volatile: readonly string[]
    }

/** A recorded change that is to be set back. Values are masked. */
export interface DoneChange {
  readonly method: string
  readonly path: string
  /** The body that was sent, where it was JSON. */
  readonly sent?: unknown
  readonly change?: RecordedChange
  /** The state before it; absent where none was recorded. */
  readonly before?: unknown
}

/** A request that sets a change back. */
export interface InverseCall {
  readonly method: string
  readonly path: string
  readonly body?: unknown
  readonly becomes?: unknown
  readonly warnings: readonly string[]
  /** Set where the object comes back under another id: lists in which the old one may be named. */
  readonly replaces?: { readonly id: string; readonly lists: readonly string[] }
}

export interface Flavour {
  readonly settings: CommonSettings
  readonly credentials: CredentialPlaces
  /** Request header and query parameter names that `inject` may set; stripped from what clients send. Lower case. */
  readonly injects: { readonly headers: readonly string[]; readonly query: readonly string[] }
  /**
   * The upstream's templates name whole segments, so an escaped `:` or `@` in one is to it what the plain one is: the
   * client's spelling goes upstream, and the plain one is judged, shown and recorded. Absent: the plain one is sent.
   */
  readonly keepsEscapes?: true
  /** Names the operation. Total: what it does not know has `known: false`. */
  operationOf(target: HttpTarget): HttpOperation
  /** Throws GatewayError `credential-unavailable` where a needed secret is not there. */
  inject(operation: HttpOperation, secrets: Readonly<Record<string, string>>): Injection
  /** Where `check` may look: the bases whose hosts are dialled for `doctor`. */
  readonly upstreams: readonly UpstreamBase[]
  /** Absent, or undefined: what an operation changes can't be told beforehand. */
  previewOf?(operation: HttpOperation, target: HttpTarget): PreviewPlan | undefined
  /** What sets a change back. Absent: nothing is known of it. */
  inverseOf?(operation: HttpOperation, done: DoneChange): InverseCall | Unable
  /** Members to add to problem documents, so that native clients show the text (`{ errors: [...] }`). */
  problemMembers?(problem: Problem): Readonly<Record<string, unknown>>
}

/** Parses a base URL, throwing TypeError for anything but http(s) without credentials, query or fragment. */
export function upstreamBase(url: string): UpstreamBase {
  const parsed = new URL(url)
  if (parsed.protocol !== 'http:' && parsed.protocol !== 'https:') throw new TypeError('not an http(s) URL')
  if (parsed.username !== '' || parsed.password !== '') throw new TypeError('credentials in a URL')
  if (parsed.search !== '' || parsed.hash !== '') throw new TypeError('a query or fragment in a base URL')
  return { origin: parsed.origin, host: parsed.host, prefix: parsed.pathname.replace(/\/+$/, '') }
}
