/**
 * How long clients hold still by themselves, by the name they give: a little less than their own time-out for the
 * head of an answer. Measured for Datadog's client (no time-out) and Node's fetch (300 s); the others by their
 * documentation. Who sets another time-out says `Prefer: wait=<seconds>`, or an operator adds a profile.
 */
export const builtinProfiles: readonly { readonly agent: string; readonly hold: number }[] = [
  { agent: 'datadog-api-client-*', hold: 300_000 },
  { agent: 'curl/*', hold: 300_000 },
  { agent: 'node', hold: 280_000 },
  { agent: 'undici', hold: 280_000 },
  { agent: 'okhttp/*', hold: 8000 },
  { agent: 'python-httpx/*', hold: 4000 },
]
