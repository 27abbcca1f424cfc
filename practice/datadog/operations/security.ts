/** Cloud SIEM's rules, and the audit trail, which notes every call of the API with the key and where it came from. */
import {
  type Call,
  found,
  listOf,
  nothing,
  objectOf,
  ok,
  type Operations,
  Refusal,
  textOf,
} from '../operation.ts'
import { hex } from '../state.ts'
import type { Json } from '../wire.ts'
import { searchLogs } from './logs.ts'

const ruleOf = ({ state, params }: Call) => found(state.securityRules, params['rule_id']!, 'Rule')

function checked(body: unknown): Json {
  const sent = objectOf(body)
  textOf(sent, 'name')
  if (!Array.isArray(sent['queries']) || !Array.isArray(sent['cases']))
    throw new Refusal(400, 'A rule needs queries and cases')
  for (const each of listOf(sent['cases'])) textOf(objectOf(each), 'status')
  return sent
}

const rules: Operations = {
  'v2.listSecurityMonitoringRules': ({ state, query }) => {
    const all = [...state.securityRules.values()]
    const size = Number(query.get('page[size]') ?? 10)
    const number = Number(query.get('page[number]') ?? 0)
    return ok({
      data: all.slice(number * size, (number + 1) * size),
      meta: { page: { total_count: all.length, total_filtered_count: all.length } },
    })
  },
  'v2.createSecurityMonitoringRule': ({ state, body }) => {
    const id = `${hex(`rule ${state.number()}`, 3)}-${hex(`rule ${state.number()}`, 3)}-${hex(`rule ${state.number()}`, 3)}`
    const rule = {
      type: 'log_detection',
      tags: [],
      filters: [],
      ...checked(body),
      id,
      version: 1,
      createdAt: state.now(),
      creationAuthorId: 1,
      isDefault: false,
      isDeleted: false,
    }
    state.securityRules.set(id, rule)
    return ok(rule)
  },
  'v2.getSecurityMonitoringRule': call => ok(ruleOf(call)),
  'v2.updateSecurityMonitoringRule': call => {
    const before = ruleOf(call)
    const rule = checked({
      ...before,
      ...objectOf(call.body),
      id: before['id'],
      version: Number(before['version']) + 1,
    })
    call.state.securityRules.set(String(before['id']), rule)
    return ok(rule)
  },
  'v2.deleteSecurityMonitoringRule': call => {
    call.state.securityRules.delete(String(ruleOf(call)['id']))
    return nothing
  },
  'v2.validateSecurityMonitoringRule': ({ body }) => {
    checked(body)
    return nothing
  },
}

const auditShape = (record: Json, i: number): Json => {
  const { timestamp, message, ...attributes } = record
  return {
    id: `AQAAA${hex(`audit ${i}`, 40)}`,
    type: 'audit',
    attributes: {
      message,
      service: 'datadog',
      tags: ['source:datadog'],
      timestamp: new Date(Number(timestamp)).toISOString(),
      attributes,
    },
  }
}

function auditPage(call: Call, search: { query: string; from: unknown; to: unknown; limit: unknown }) {
  const { state } = call
  const limit = Math.min(1000, Number(search.limit ?? 10) || 10)
  const all = searchLogs(state.auditTrail, state.now(), search)
  return ok({
    data: all.slice(0, limit).map(auditShape),
    meta: { elapsed: 4, request_id: hex('audit', 32), status: 'done' },
  })
}

const audit: Operations = {
  'v2.listAuditLogs': call => {
    const { query } = call
    return auditPage(call, {
      query: query.get('filter[query]') ?? '*',
      from: query.get('filter[from]') ?? undefined,
      to: query.get('filter[to]') ?? undefined,
      limit: query.get('page[limit]') ?? undefined,
    })
  },
  'v2.searchAuditLogs': call => {
    const sent = objectOf(call.body ?? {})
    const filter = objectOf(sent['filter'] ?? {})
    return auditPage(call, {
      query: String(filter['query'] ?? '*'),
      from: filter['from'],
      to: filter['to'],
      limit: objectOf(sent['page'] ?? {})['limit'],
    })
  },
}

export const security: Operations = { ...rules, ...audit }
