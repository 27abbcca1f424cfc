import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { z } from 'zod'
import { makeReceipt } from '../../audit/receipt.ts'
import { GatewayError } from '../../errors.ts'
import type { Entry } from '../../audit/events.ts'
import { filterMatcher } from '../../storage/matches-filter.ts'
import type { EntryQuery } from '../../storage/storage.ts'
import { csvHeader, csvLine } from '../csv.ts'
import { noteReading } from '../reading.ts'
import { route, streamed } from '../route.ts'
import type { Services } from '../services.ts'
import {
  entryFilter,
  entryFilters,
  entryPage,
  entryShape,
  indexParam,
  type PageQuery,
  pageQuery,
  showPage,
} from '../shapes.ts'
import { drained, followLog, resumeAt, streaming } from '../streams.ts'

const exportPage = 1000

/** A stream is of what comes, so it has no times. */
const { since: _since, until: _until, ...filters } = entryFilters

/** The query of the index for the filters of a request. */
export function entryQuery(query: PageQuery): EntryQuery {
  const { after, order, limit } = query
  return {
    ...entryFilter(query),
    ...(after === undefined ? {} : { after }),
    descending: order === 'desc',
    limit,
  }
}

async function readEntry({ storage }: Services, index: number): Promise<Buffer> {
  if (index < storage.log.first) {
    const detail = `entry ${index} was removed when its time of retention had ended; its hash and its proofs stay`
    throw new GatewayError('not-found', { detail })
  }
  const [bytes] = index < storage.log.size ? await storage.log.read(index, 1) : []
  if (bytes === undefined) throw new GatewayError('not-found', { detail: `there is no entry ${index}` })
  return bytes
}

export const auditRoutes = [
  route({
    method: 'GET',
    path: '/audit/entries',
    id: 'entries.search',
    summary: 'Search the audit log, a page at a time. Identical entries to those shipped to sinks',
    permission: 'auditor',
    audit: 'audit.read',
    query: pageQuery,
    responses: { 200: { description: 'A page', schema: entryPage } },
    async handler(call) {
      await noteReading(call, 'search')
      const { storage } = call.services
      const page = await storage.index.search(entryQuery(call.query))
      return showPage(page, storage.log.size)
    },
  }),
  route({
    method: 'GET',
    path: '/audit/export',
    id: 'entries.export',
    summary: 'All entries that match: as NDJSON, one exact entry a line, or as CSV with the main facts',
    permission: 'auditor',
    audit: 'audit.read',
    query: pageQuery.extend({
      format: z
        .enum(['ndjson', 'csv'])
        .default('ndjson')
        .describe('`csv` is a selection of columns, in which no cell is a formula'),
    }),
    responses: { 200: { description: 'Entries, one a line', type: 'application/x-ndjson' } },
    async handler(call) {
      await noteReading(call, 'export')
      const { response, signal } = call
      const { storage } = call.services
      const csv = call.query.format === 'csv'
      response.setHeader(
        'content-type',
        csv ? 'text/csv; charset=utf-8; header=present' : 'application/x-ndjson',
      )
      response.setHeader('content-disposition', `attachment; filename="entries.${call.query.format}"`)
      if (csv) response.write(csvHeader)
      let query = { ...entryQuery(call.query), limit: exportPage }
      // What is written while the export runs is not part of it, or a busy log would never end.
      const end = storage.log.size
      // The index is behind the log by some milliseconds; an export that ended there would lack the newest entries.
      await storage.index.whenIndexed(end)
      for (;;) {
        const page = await storage.index.search(query)
        const lines = page.entries
          .filter(each => each.index < end)
          .map(({ bytes }) => bytes.toString('utf8'))
          .map(text => (csv ? csvLine(JSON.parse(text) as Entry) : `${text}\n`))
        if (lines.length > 0 && !response.write(lines.join(''))) await drained(response, signal)
        if (page.next === undefined || lines.length < page.entries.length || signal.aborted) break
        query = { ...query, after: page.next }
      }
      response.end()
      return streamed
    },
  }),
  route({
    method: 'GET',
    path: '/audit/blobs/{hash}',
    id: 'blobs.get',
    summary:
      'A recording as it is kept: the ciphertext that entries name by its hash. It proves itself, and says nothing without a key',
    permission: 'auditor',
    audit: 'audit.read',
    params: z.object({
      hash: z
        .string()
        .regex(/^sha256:[0-9a-f]{64}$/)
        .describe('As in `recording.blob` of an entry'),
    }),
    responses: { 200: { description: 'The ciphertext', type: 'application/octet-stream' } },
    async handler(call) {
      const { services, params, response } = call
      await noteReading(call, 'blobs')
      const blob = await services.storage.log.streamBlob(params.hash)
      if (blob === undefined)
        throw new GatewayError('not-found', { detail: 'no such recording, or it is past its time' })
      response.setHeader('content-type', 'application/octet-stream')
      await pipeline(Readable.from(blob), response)
      return streamed
    },
  }),
  route({
    method: 'GET',
    path: '/audit/stream',
    id: 'entries.stream',
    summary:
      'Entries that match, as they become durable, as server-sent events; the event id is the index, so a reconnect goes on',
    permission: 'auditor',
    audit: 'audit.read',
    query: z.object({
      ...filters,
      from: z
        .string()
        .regex(/^\d{1,15}$/)
        .transform(Number)
        .optional()
        .describe('Begin at this index; default: now'),
    }),
    responses: { 200: { description: 'Events named `entry`', type: 'text/event-stream' } },
    async handler(call) {
      const from = resumeAt(call) ?? call.query.from ?? call.services.storage.log.size
      const filter = entryFilter(call.query)
      const passes = Object.keys(filter).length === 0 ? {} : { passes: filterMatcher(filter) }
      await streaming(call, async events => {
        await noteReading(call, 'stream')
        await events.comment('following the log')
        await followLog(call, events, { from, ...passes })
      })
      return streamed
    },
  }),
  route({
    method: 'GET',
    path: '/audit/entries/{index}',
    id: 'entries.get',
    summary: 'One entry',
    permission: 'auditor',
    audit: 'audit.read',
    params: indexParam,
    responses: { 200: { description: 'The entry', schema: entryShape } },
    async handler(call) {
      await noteReading(call, 'entry')
      return JSON.parse((await readEntry(call.services, call.params.index)).toString('utf8')) as unknown
    },
  }),
  route({
    method: 'GET',
    path: '/audit/entries/{index}/receipt',
    id: 'entries.receipt',
    summary: 'The proof (C2SP tlog-proof) that the entry is in the log; it verifies offline',
    permission: 'auditor',
    audit: { none: 'a proof holds hashes only' },
    params: indexParam,
    responses: { 200: { description: 'The receipt', type: 'text/plain' } },
    async handler({ services, params, response }) {
      await readEntry(services, params.index)
      const receipt = await makeReceipt(services.published, params.index)
      if (receipt === undefined) {
        throw new GatewayError('conflict', {
          detail: 'no checkpoint covers the entry yet; ask again in a second',
        })
      }
      response.setHeader('content-type', 'text/plain; charset=utf-8')
      response.end(receipt)
      return streamed
    },
  }),
]
