/** A person who can sign in at the practice identity provider. */
export interface PracticePerson {
  readonly sub: string
  readonly name: string
  readonly email: string
  readonly groups: readonly string[]
}

/** A registered client: an agent, a service, or (without a secret) an application on a person's machine. */
export interface PracticeClient {
  readonly id: string
  readonly name: string
  /** Absent: a public client, which proves itself with PKCE alone. */
  readonly secret?: string
  readonly groups?: readonly string[]
  /** The `sub` of the person this agent acts for: its own tokens then carry that person as `sub` and it as `act`. */
  readonly actsFor?: string
  /** Where a code may be sent. Loopback addresses are always allowed (RFC 8252 section 7.3). */
  readonly redirectUris?: readonly string[]
}

export interface PracticeDirectory {
  readonly people: readonly PracticePerson[]
  readonly clients: readonly PracticeClient[]
}

/** Who lives in the practice world. The secrets are public on purpose: nothing real may trust this issuer. */
export const practiceDirectory: PracticeDirectory = {
  people: [
    { sub: 'ana', name: 'Ana', email: 'ana@example.com', groups: ['sre'] },
    { sub: 'bo', name: 'Bo', email: 'bo@example.com', groups: ['platform'] },
    { sub: 'cam', name: 'Cam', email: 'cam@example.com', groups: ['security'] },
  ],
  clients: [
    { id: 'triage-agent', name: 'Triage agent', secret: 'practice', groups: ['agents'], actsFor: 'ana' },
    { id: 'batch-agent', name: 'Batch agent', secret: 'practice', groups: ['agents'] },
    { id: 'report-service', name: 'Report service', secret: 'practice', groups: ['services'] },
    { id: 'sallyport-cli', name: 'Sallyport on the command line' },
    { id: 'sallyport-console', name: 'Sallyport console' },
  ],
}
