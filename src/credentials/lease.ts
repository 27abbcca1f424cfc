/** A credential lent for one action or session. It ends when disposed of; nobody keeps a reference beyond that. */
export interface Lease extends AsyncDisposable {
  /** The secret values by the names of the connection's `credential` block. */
  readonly secrets: Readonly<Record<string, string>>
  /** Further values that must not pass (P4): what else came along with a token, and its earlier ones. */
  readonly alsoSecret?: readonly string[]
  /** The upstream took the credential for no good: what was issued is replaced before the next lease. */
  refused?(): void
  /**
   * The upstream wants scopes that what was issued under these names lacks. Resolves with what the person behind it must
   * do to give them; undefined where nobody can, or was asked too often.
   */
  lacks?(scopes: readonly string[], names: readonly string[]): Promise<string | undefined>
}
