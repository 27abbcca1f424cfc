/** Values under unguessable names for a limited time and number: codes, device codes, refresh tokens. */
export class Once<T> {
  readonly #values = new Map<string, { readonly value: T; readonly ends: number }>()
  readonly #lifetimeMs: number
  readonly #limit = 10_000

  constructor(lifetimeMs: number) {
    this.#lifetimeMs = lifetimeMs
  }

  set(name: string, value: T): void {
    if (this.#values.size >= this.#limit) this.#values.delete(this.#values.keys().next().value!)
    this.#values.set(name, { value, ends: Date.now() + this.#lifetimeMs })
  }

  get(name: string): T | undefined {
    const kept = this.#values.get(name)
    if (kept === undefined || kept.ends <= Date.now()) return undefined
    return kept.value
  }

  take(name: string): T | undefined {
    const value = this.get(name)
    this.#values.delete(name)
    return value
  }

  find(wanted: (value: T) => boolean): T | undefined {
    for (const [name, kept] of this.#values) if (wanted(kept.value)) return this.get(name)
    return undefined
  }
}
