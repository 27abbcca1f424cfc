/**
 * The entry for `identity.issuers` that fits the practice issuer, as a configuration file would have it. What acts for
 * nobody but is in the group `agents` is an agent all the same.
 */
export function practiceIssuerSection(issuer: string, audience = 'sallyport') {
  return {
    name: 'practice',
    issuer,
    audience,
    kind: { when: [{ claim: 'groups', in: 'agents', kind: 'agent' as const }] },
  }
}
