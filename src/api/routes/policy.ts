import { setImmediate } from 'node:timers/promises'
import { z } from 'zod'
import { type Entry, terminalKinds } from '../../audit/events.ts'
import { GatewayError } from '../../errors.ts'
import { displayName } from '../../model/subject.ts'
import { explain } from '../../policy/explain.ts'
import { parsePolicy } from '../../policy/parse-policy.ts'
import type { Policy } from '../../policy/policy.ts'
import { inquiryOf, runPolicyTests } from '../../policy/policy-tests.ts'
import { createRejudge, type Rejudged } from '../../policy/rejudge.ts'
import { questionSchema } from '../../policy/schema.ts'
import { noteReading } from '../reading.ts'
import { type Call, route } from '../route.ts'
import type { Services } from '../services.ts'
import { instant } from '../shapes.ts'

const page = 500
const mostSamples = 10
const day = 86_400_000

export const policyText = z
  .string()
  .max(512 * 1024)
  .describe('A policy file: `rules` and `tests`, in YAML')
const effect = z.enum(['permit', 'deny', 'ask'])

const problemShape = z.object({
  line: z.number(),
  column: z.number(),
  path: z.string(),
  message: z.string(),
})

const sampleShape = z.object({
  seq: z.string(),
  time: z.string(),
  subject: z.string(),
  connection: z.string(),
  operation: z.string(),
  resource: z.string().optional(),
  rule: z.string().optional().describe('The rule that decides under the policy tried'),
})

/** The policy of a text, or what is wrong with it. */
function read(services: Services, text: string) {
  const { maskProfiles } = services.gateway
  return parsePolicy(text, 'policy', { maskProfiles })
}

export const policyRoutes = [
  route({
    method: 'GET',
    path: '/policy',
    id: 'policy.get',
    summary: 'The policy in force, as it is written',
    permission: 'auditor',
    audit: { none: 'rules hold no secrets' },
    responses: {
      200: {
        description: 'The policy',
        schema: z.object({
          version: z.string(),
          text: z.string().describe('YAML; what `policy.check` and `policy.try` take'),
          source: z
            .enum(['file', 'inline'])
            .describe('A file of its own, or the section of the configuration'),
          rules: z.array(
            z.object({
              name: z.string(),
              effect: z.string(),
              shadow: z.boolean(),
              description: z.string().optional(),
            }),
          ),
        }),
      },
    },
    handler({ services }) {
      const { rules, policyText: written } = services.gateway
      return {
        version: rules.version,
        ...written,
        rules: rules.rules.map(({ name, effect: does, shadow, source }) => ({
          name,
          effect: does,
          shadow,
          ...(source.description === undefined ? {} : { description: source.description }),
        })),
      }
    },
  }),
  route({
    method: 'POST',
    path: '/policy/check',
    id: 'policy.check',
    summary: 'What is wrong with a policy, with line and column, and how its own test cases come out',
    permission: 'auditor',
    audit: { none: 'reads what the caller sent; nothing runs and nothing changes' },
    body: z.strictObject({ policy: policyText }),
    responses: {
      200: {
        description: 'Problems and test results',
        schema: z.object({
          ok: z.boolean().describe('No problem, and every case passed'),
          version: z.string().optional(),
          problems: z.array(problemShape),
          tests: z.array(
            z.object({
              name: z.string(),
              passed: z.boolean(),
              differences: z.array(z.object({ what: z.string(), expected: z.string(), got: z.string() })),
            }),
          ),
        }),
      },
    },
    handler({ services, body }) {
      const parsed = read(services, body.policy)
      if ('problems' in parsed)
        return {
          ok: false,
          problems: parsed.problems.map(({ line, column, path, message }) => ({
            line,
            column,
            path,
            message,
          })),
          tests: [],
        }
      const connections = services.connections.list().map(each => each.connection)
      const tests = runPolicyTests(parsed.policy, { connections }).map(({ name, passed, differences }) => ({
        name,
        passed,
        differences,
      }))
      return { ok: tests.every(each => each.passed), version: parsed.policy.version, problems: [], tests }
    },
  }),
  route({
    method: 'POST',
    path: '/policy/explain',
    id: 'policy.explain',
    summary: 'What a policy would decide, which rule decides it, and why the others do not',
    permission: 'auditor',
    audit: { none: 'asks a question; nothing runs' },
    body: questionSchema.extend({
      policy: policyText.optional().describe('A policy to ask instead of the one in force'),
    }),
    responses: {
      200: { description: 'The decision and an account of each rule', schema: z.looseObject({}) },
    },
    handler({ services, body }) {
      const { policy: text, ...question } = body
      const connections = services.connections.list().map(each => each.connection)
      const inquiry = inquiryOf(question, { connections })
      if (inquiry === undefined)
        throw new GatewayError('not-found', { detail: 'there is no such connection' })
      return explain(text === undefined ? services.gateway.rules : readOrRefuse(services, text), inquiry)
    },
  }),
  route({
    method: 'POST',
    path: '/policy/try',
    id: 'policy.try',
    summary:
      'Which recorded actions a policy would have decided otherwise. Judged from the entries, which do not hold groups, ' +
      'claims or the content of requests: what that leaves open is counted as such. Limits of rate are left aside',
    permission: 'auditor',
    audit: 'audit.read',
    body: z.strictObject({
      policy: policyText,
      from: instant.optional().describe('From this time on; default: 7 days before `to`'),
      to: instant.optional().describe('Before this time; default: now'),
      limit: z.number().int().min(1).max(20_000).default(5000).describe('Most actions, the newest'),
    }),
    responses: {
      200: {
        description: 'Counts and samples',
        schema: z.object({
          version: z.string(),
          from: z.string(),
          to: z.string(),
          examined: z.number().describe('Actions that were judged again'),
          complete: z
            .boolean()
            .describe('False: there are more than `limit`, and only the newest were examined'),
          same: z.number(),
          changed: z.array(
            z.object({ before: effect, after: effect, count: z.number(), samples: z.array(sampleShape) }),
          ),
          undetermined: z.object({
            count: z.number().describe('Actions whose entry does not say enough'),
            rules: z
              .array(z.object({ rule: z.string(), count: z.number(), needs: z.array(z.string()) }))
              .describe('The rules that leave it open, and what they look at: groups, claims, request'),
            samples: z.array(sampleShape.extend({ before: effect, possible: z.array(effect) })),
          }),
          skipped: z.number().describe('Actions without a decision, or on a connection that is gone'),
        }),
      },
    },
    async handler(call) {
      const { services, body } = call
      const policy = readOrRefuse(services, body.policy)
      const to = body.to ?? Date.now()
      const from = body.from ?? to - 7 * day
      await noteReading({ ...call, query: { since: from, until: to, version: policy.version } }, 'policy.try')
      return await tryPolicy(call, { policy, from, to, limit: body.limit })
    },
  }),
]

/** The policy of a text; throws `invalid-request` with the first mistake. */
export function readOrRefuse(services: Services, text: string): Policy {
  const parsed = read(services, text)
  if ('policy' in parsed) return parsed.policy
  const [first] = parsed.problems
  throw new GatewayError('invalid-request', {
    detail: `body.policy: line ${first?.line}, column ${first?.column}: ${first?.message}`,
  })
}

interface Trial {
  readonly policy: Policy
  readonly from: number
  readonly to: number
  readonly limit: number
}

async function tryPolicy(
  { services, signal }: Pick<Call<unknown, unknown, unknown>, 'services' | 'signal'>,
  { policy, from, to, limit }: Trial,
): Promise<Record<string, unknown>> {
  const rejudge = createRejudge({
    policy,
    inForce: services.gateway.rules,
    connection: name => services.connections.find(name)?.connection,
  })
  const totals = new Totals()
  let after: number | undefined
  let examined = 0
  let complete = false
  while (examined < limit && !signal.aborted) {
    const found = await services.storage.index.search({
      kinds: terminalKinds,
      since: from,
      until: to,
      descending: true,
      limit: Math.min(page, limit - examined),
      ...(after === undefined ? {} : { after }),
    })
    for (const { bytes } of found.entries) {
      const entry = JSON.parse(bytes.toString('utf8')) as Entry
      totals.add(entry, rejudge(entry))
    }
    examined += found.entries.length
    after = found.next
    if (after === undefined) {
      complete = true
      break
    }
    // Others get their turn between pages.
    await setImmediate()
  }
  return {
    version: policy.version,
    from: new Date(from).toISOString(),
    to: new Date(to).toISOString(),
    complete,
    ...totals.show(examined),
  }
}

/** What came of the actions, with few samples of each. */
class Totals {
  #same = 0
  #skipped = 0
  #open = 0
  readonly #changed = new Map<string, { before: string; after: string; count: number; samples: unknown[] }>()
  readonly #rules = new Map<string, { rule: string; count: number; needs: readonly string[] }>()
  readonly #samples: unknown[] = []

  add(entry: Entry, rejudged: Rejudged | undefined): void {
    if (rejudged === undefined) {
      this.#skipped++
      return
    }
    const { before, after, rule, unknown } = rejudged
    const [only] = after
    if (after.length === 1 && only === before) {
      this.#same++
    } else if (after.length === 1) {
      const key = `${before} ${only}`
      const change = this.#changed.get(key) ?? { before, after: only!, count: 0, samples: [] }
      this.#changed.set(key, change)
      change.count++
      if (change.samples.length < mostSamples) change.samples.push(sampleOf(entry, rule))
    } else {
      this.#open++
      for (const each of unknown) {
        const counted = this.#rules.get(each.rule) ?? { ...each, count: 0 }
        counted.count++
        this.#rules.set(each.rule, counted)
      }
      if (this.#samples.length < mostSamples)
        this.#samples.push({ ...sampleOf(entry, undefined), before, possible: after })
    }
  }

  show(examined: number): Record<string, unknown> {
    const most = <T extends { count: number }>(all: Iterable<T>): T[] =>
      [...all].sort((a, b) => b.count - a.count)
    return {
      examined: examined - this.#skipped,
      same: this.#same,
      changed: most(this.#changed.values()),
      undetermined: {
        count: this.#open,
        rules: most(this.#rules.values()).slice(0, 50),
        samples: this.#samples,
      },
      skipped: this.#skipped,
    }
  }
}

function sampleOf(entry: Entry, rule: string | undefined): Record<string, unknown> {
  const { seq, time, subject, connection, operation, resource } = entry
  return {
    seq,
    time,
    subject: subject === undefined ? '' : displayName(subject),
    connection: connection?.name,
    operation,
    ...(resource === undefined ? {} : { resource }),
    ...(rule === undefined ? {} : { rule }),
  }
}
