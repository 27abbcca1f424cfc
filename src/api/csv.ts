/** Entries as CSV (RFC 4180) for spreadsheets: the facts people sort by. The entry itself is the NDJSON. */
import type { Entry } from '../audit/events.ts'

const columns: readonly (readonly [name: string, value: (entry: Entry) => unknown])[] = [
  ['seq', entry => entry.seq],
  ['time', entry => entry.time],
  ['kind', entry => entry.kind],
  ['subject_id', entry => entry.subject?.id],
  ['subject_email', entry => entry.subject?.email],
  ['subject_name', entry => entry.subject?.name],
  ['subject_kind', entry => entry.subject?.kind],
  ['subject_issuer', entry => entry.subject?.issuer],
  ['on_behalf_of', entry => entry.subject?.on_behalf_of?.email ?? entry.subject?.on_behalf_of?.id],
  ['connection', entry => entry.connection?.name],
  ['operation', entry => entry.operation],
  ['risk', entry => entry.risk],
  ['resource', entry => entry.resource],
  ['decision', entry => entry.decision?.effect],
  ['rule', entry => entry.decision?.rule],
  ['outcome', entry => entry.outcome],
  ['error', entry => entry.error?.code],
  ['duration_ms', entry => (entry.duration === undefined ? undefined : entry.duration / 1e6)],
  ['bytes_in', entry => entry.bytes_in],
  ['bytes_out', entry => entry.bytes_out],
  ['masked', entry => entry.masked?.count],
  ['client_ip', entry => entry.client?.ip],
  ['session', entry => entry.session],
  ['action', entry => entry.action],
  ['approval', entry => (typeof entry.approval === 'string' ? entry.approval : entry.approval?.['id'])],
]

export const csvHeader = `${columns.map(([name]) => name).join(',')}\r\n`

export function csvLine(entry: Entry): string {
  return `${columns.map(([, value]) => cell(value(entry))).join(',')}\r\n`
}

/**
 * A text that a spreadsheet would take for a formula gets an apostrophe in front, which makes it a text there (CWE-1236):
 * the names in an entry are chosen by those who are watched. All texts are quoted, so that no separator of any locale
 * begins another cell.
 */
function cell(value: unknown): string {
  if (typeof value === 'number') return String(value)
  if (typeof value !== 'string' || value === '') return ''
  const text = /^\s*[=+\-@]|^[\t\r\n]/.test(value) ? `'${value}` : value
  return `"${text.replaceAll('"', '""')}"`
}
