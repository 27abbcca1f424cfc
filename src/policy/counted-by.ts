import type { Action } from '../model/action.ts'
import type { Connection } from '../model/connection.ts'
import type { CountedBy } from '../model/decision.ts'
import { type Subject, subjectKey } from '../model/subject.ts'

/** Who does what where, as counts are kept by. */
export interface Use {
  readonly subject: Subject
  readonly connection: Pick<Connection, 'name'>
  readonly action: Pick<Action, 'operation'>
}

const standard: CountedBy = ['subject']

/** The name of the count that this use falls under, apart from what is counted. Equal exactly where the count is one. */
export function countedBy(by: CountedBy = standard, { subject, connection, action }: Use): string {
  if (by.length === 1 && by[0] === 'subject') return subjectKey(subject)
  return JSON.stringify([
    by.includes('subject') ? subjectKey(subject) : '',
    by.includes('connection') ? connection.name : '',
    by.includes('operation') ? action.operation : '',
  ])
}
