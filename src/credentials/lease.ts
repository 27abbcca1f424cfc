/** A credential lent for one action or session. It ends when disposed of; nobody keeps a reference beyond that. */
export interface Lease extends AsyncDisposable {
  /** The secret values by the names of the connection's `credential` block. */
  readonly secrets: Readonly<Record<string, string>>
}
