/** How long records of this kind are to be kept, by who asks for it. Legal advice it is not. */
export const requirements = {
  'pci-dss': { keepDays: 365, atHandDays: 90, source: 'PCI DSS 4.0, 10.5.1: twelve months, three at hand' },
  'eu-ai-act': { keepDays: 183, atHandDays: 0, source: 'EU AI Act, articles 19 and 26(6): six months' },
  hipaa: { keepDays: 2192, atHandDays: 0, source: 'HIPAA, 45 CFR 164.316(b)(2): six years' },
  'm-21-31': {
    keepDays: 913,
    atHandDays: 365,
    source: 'OMB M-21-31: twelve months active, eighteen more in cold storage',
  },
} as const satisfies Readonly<
  Record<string, { readonly keepDays: number; readonly atHandDays: number; readonly source: string }>
>

export type Requirement = keyof typeof requirements
export const requirementNames = Object.keys(requirements) as [Requirement, ...Requirement[]]
