/** The rules of Cloud SIEM. */
import { at, attributes, queries } from '../attributes.ts'
import { type Definition, idTag, type Json, ownMark, ownTag } from './definition.ts'

interface RuleParts {
  readonly id: string
  readonly title: string
  readonly tactic?: string
  readonly queries: readonly Json[]
  readonly status: 'medium' | 'high' | 'critical'
  readonly condition?: string
  readonly options: Json
}

const { connection, identity } = attributes

function rule({ id, title, tactic, queries: asked, status, condition, options }: RuleParts): Definition {
  return {
    kind: 'security-rule',
    id,
    body: {
      type: 'log_detection',
      name: `[Sallyport] ${title}`,
      isEnabled: true,
      hasExtendedTitle: true,
      message: `{{${at(identity)}}}\n\n${ownMark}`,
      tags: [ownTag, idTag(id), ...(tactic === undefined ? [] : ['security:attack', `tactic:${tactic}`])],
      queries: asked,
      cases: [{ name: '', notifications: [], status, ...(condition === undefined ? {} : { condition }) }],
      filters: [],
      options: { keepAlive: 3600, maxSignalDuration: 86_400, ...options },
    },
  }
}

function counted(query: string, groupByFields = [at(identity)]): Json {
  return {
    aggregation: 'count',
    dataSource: 'logs',
    distinctFields: [],
    hasOptionalGroupByFields: false,
    name: '',
    query,
    groupByFields,
  }
}

export function ruleDefinitions(): Definition[] {
  const onOne = [at(identity), at(connection)]
  return [
    rule({
      id: 'no-approval',
      title: 'An action ran without its expected approval',
      tactic: 'TA0004-privilege-escalation',
      queries: [counted(queries.withoutApproval)],
      status: 'critical',
      condition: 'a > 0',
      options: { detectionMethod: 'threshold', evaluationWindow: 300 },
    }),
    rule({
      id: 'break-glass',
      title: 'Policy was overridden (break glass)',
      tactic: 'TA0004-privilege-escalation',
      queries: [counted(queries.overrides)],
      status: 'high',
      condition: 'a > 0',
      options: { detectionMethod: 'threshold', evaluationWindow: 300 },
    }),
    rule({
      id: 'first-use',
      title: 'An identity used a connection for the first time',
      queries: [
        {
          ...counted(queries.succeeded),
          aggregation: 'new_value',
          metric: at(connection),
          metrics: [at(connection)],
        },
      ],
      status: 'medium',
      options: {
        detectionMethod: 'new_value',
        evaluationWindow: 0,
        keepAlive: 300,
        maxSignalDuration: 600,
        newValueOptions: {
          forgetAfter: 28,
          learningDuration: 7,
          learningMethod: 'duration',
          learningThreshold: 0,
        },
      },
    }),
    rule({
      id: 'denied-then-allowed',
      title: 'Denied again and again, then allowed, on one connection',
      tactic: 'TA0007-discovery',
      queries: [counted(queries.denied, onOne), counted(queries.succeeded, onOne)],
      status: 'high',
      condition: 'step_b > 0',
      options: {
        detectionMethod: 'sequence_detection',
        evaluationWindow: 0,
        sequenceDetectionOptions: {
          steps: [
            { name: 'step_a', condition: 'a > 4', evaluationWindow: 600 },
            { name: 'step_b', condition: 'b > 0', evaluationWindow: 600 },
          ],
          stepTransitions: [{ parent: 'step_a', child: 'step_b', evaluationWindow: 900 }],
        },
      },
    }),
    unusualRate(),
  ]
}

/** Learned by Datadog: more than the identity usually does. */
function unusualRate(): Definition {
  return rule({
    id: 'unusual-rate',
    title: 'An unusual number of actions of one identity',
    queries: [counted(queries.actions)],
    status: 'medium',
    condition: 'a > 0.995',
    options: {
      detectionMethod: 'anomaly_detection',
      evaluationWindow: 900,
      anomalyDetectionOptions: {
        bucketDuration: 300,
        detectionTolerance: 3,
        learningDuration: 24,
        learningPeriodBaseline: 10,
      },
    },
  })
}
