/** `tampering`: what is there contradicts what was signed. `missing`: what is needed to tell is not there. */
export type Severity = 'tampering' | 'missing'

export interface Finding {
  readonly severity: Severity
  /** A stable kebab-case word. */
  readonly code: string
  readonly detail: string
}

/** Most findings that are kept in words; all are counted. */
const most = 200

/** What was found, never merging evidence of tampering with lack of data. */
export class Findings {
  readonly list: Finding[] = []
  tampering = 0
  missing = 0

  add(severity: Severity, code: string, detail: string): void {
    this[severity]++
    if (this.list.length < most) this.list.push({ severity, code, detail })
  }

  /** 0 sound, 1 evidence of tampering, 2 can't tell. */
  get exit(): 0 | 1 | 2 {
    return this.tampering > 0 ? 1 : this.missing > 0 ? 2 : 0
  }
}
