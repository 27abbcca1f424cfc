import type { AnswerConfig, DetectionConfig } from '../config/detection.ts'
import type { Connection } from '../model/connection.ts'
import type { ApprovalTerms } from '../model/decision.ts'
import type { Subject } from '../model/subject.ts'
import { termsOf } from '../policy/rule.ts'
import { connectionSelectors, subjectSelectors } from '../policy/selectors.ts'
import type { Finding } from './finding.ts'

export type Answer = AnswerConfig

/** Says what is done about a finding, besides telling of it: the gravest of the answers that fit. */
export type Answers = (finding: Finding, subject: Subject, target: Connection) => Answer | undefined

const gravity: Readonly<Record<Answer['answer'], number>> = { slow: 1, ask: 2, suspend: 3 }

export function compileAnswers({ answers }: DetectionConfig): Answers {
  const compiled = answers.map(answer => ({
    answer,
    subjects: subjectSelectors(answer.subjects ?? {}),
    connections: connectionSelectors(answer.connections ?? {}),
  }))
  return ({ detector }, subject, target) => {
    let gravest: Answer | undefined
    for (const { answer, subjects, connections } of compiled) {
      if (!answer.on.includes(detector)) continue
      if (!subjects.every(each => each.matches(subject))) continue
      if (!connections.every(each => each.matches(target))) continue
      if (gravest === undefined || gravity[answer.answer] > gravity[gravest.answer]) gravest = answer
    }
    return gravest
  }
}

/** By which terms people are asked about it; the approver reads what was noticed. */
export function termsFor({ approval }: Answer, { detector, words }: Finding): ApprovalTerms | undefined {
  if (approval === undefined) return undefined
  const name = `detection.${detector.replaceAll('_', '-')}`
  return { ...termsOf(name, approval), message: approval.message ?? words }
}
