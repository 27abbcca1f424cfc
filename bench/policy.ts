/**
 * Decisions per second of a policy of 50 rules, on one core: `script/node bench/policy.ts [--keep]`. Each case is a policy in
 * which only the last rule permits; what differs is what the gateway can leave out by its index.
 */
import { createAuthorizer } from '../src/policy/compiled-authorizer.ts'
import { compilePolicy } from '../src/policy/policy.ts'
import { RateLimiter } from '../src/policy/rate-limiter.ts'
import { policyFileSchema } from '../src/policy/schema.ts'
import type { Action } from '../src/model/action.ts'
import type { Connection } from '../src/model/connection.ts'
import type { Subject } from '../src/model/subject.ts'
import { count, currentLoad, describeMachine, publish, table } from './support/report.ts'

const busyAtStart = currentLoad()

const connection: Connection = {
  name: 'datadog-prod',
  protocol: 'datadog',
  sensitivity: 'high',
  labels: { env: 'prod' },
  credential: {},
  settings: {},
}
const subject: Subject = {
  issuer: 'https://issuer.example.com',
  id: 'agent-7',
  email: 'ana@example.com',
  kind: 'agent',
  groups: ['sre', 'payments', 'on-call'],
  method: 'oidc',
  claims: { team: 'payments' },
}

function actionOf(operation: string): Action {
  return {
    id: 'a_1',
    operation,
    known: true,
    risk: 'write',
    resource: '/api/v1/monitor',
    content: {
      method: 'POST',
      path: '/api/v1/monitor',
      query: {},
      body: { type: 'metric alert', tags: ['a', 'b'] },
    },
    digest: () => '',
    facts: {},
  }
}

const last = { name: 'last', effect: 'allow', subjects: { groups: ['sre'] } }

const policies: Readonly<Record<string, readonly unknown[]>> = {
  'rules of many operations': fill(i => ({ operations: [`v1.operation${i}*`], effect: 'deny' })),
  'rules of many groups': fill(i => ({ subjects: { groups: [`team-${i}`] }, effect: 'deny' })),
  'rules with a condition on the method': fill(i => ({
    effect: 'deny',
    when: `request.method == 'DELETE' && request.path == '/p${i}'`,
  })),
  'rules with a condition on the body': fill(i => ({
    effect: 'deny',
    when: `request.method == 'POST' && request.body.type == 'alert ${i}' && !('prod' in request.body.tags)`,
  })),
}

function fill(make: (i: number) => object): readonly unknown[] {
  return [...Array.from({ length: 49 }, (_, i) => ({ name: `rule-${i}`, ...make(i) })), last]
}

const rows: string[][] = []
for (const [what, rules] of Object.entries(policies)) {
  const compiled = compilePolicy(policyFileSchema.parse({ rules }))
  if ('issues' in compiled) throw new Error(JSON.stringify(compiled.issues))
  const clock = { now: () => Date.now() }
  const authorizer = createAuthorizer(compiled.policy, { clock, limiter: new RateLimiter() })
  const actions = Array.from({ length: 200 }, (_, i) => actionOf(`v2.list${i}`))
  const run = (rounds: number): void => {
    for (let i = 0; i < rounds; i++) {
      const { effect } = authorizer.authorize(subject, connection, actions[i % actions.length]!)
      if (effect !== 'permit') throw new Error(`${what}: ${effect}`)
    }
  }
  run(20_000)
  const rounds = 100_000
  const started = process.hrtime.bigint()
  run(rounds)
  const us = Number(process.hrtime.bigint() - started) / 1000 / rounds
  rows.push([what, us.toFixed(2), count(1e6 / us)])
}
publish(
  'policy',
  `# Policy: decisions per second

\`script/bench policy\`. ${describeMachine(busyAtStart)}

A policy of 50 rules, of which only the last permits; rate limits, masks and shadow rules off; the same connection, 200 operations, one core.

${table(['the other 49', 'µs per decision', 'decisions/s'], rows)}

What is not so good: a request made to be slow can use up the 100,000 steps of every condition that reads its body, some 10 ms each. With many such rules for one operation that adds up on the event loop; \`limits.judged_body_bytes\` bounds what there is to walk.
`,
  process.argv.includes('--keep'),
)
