import { lineOf, stubLine } from '../file/ndjson.ts'
import type { LogRecord } from '../record.ts'
import { describe, type Status } from '../words.ts'

export interface SyslogHeader {
  /** 0 to 23 (RFC 5424 section 6.2.1). */
  readonly facility: number
  readonly hostname: string
  readonly appName: string
  /** Private enterprise number of the structured data; 32473 is the one for documentation (RFC 5612). */
  readonly enterprise: number
}

const severities: Readonly<Record<Status, number>> = { critical: 2, error: 3, warn: 4, notice: 5, info: 6 }

/**
 * One message of RFC 5424: header, structured data with what tells the entry apart, and the entry's exact bytes. No
 * byte order mark stands before them, since parsers of JSON stumble over it; so MSG is MSG-ANY (section 6.4).
 */
export function syslogMessage(record: LogRecord, header: SyslogHeader): Buffer {
  const { entry } = record
  const { status } = describe(entry)
  const data = [
    ['id', record.id],
    ['leaf', record.leafHash],
    ['seq', String(record.index)],
    ...(entry.subject === undefined ? [] : [['subject', entry.subject.id]]),
    ...(entry.connection === undefined ? [] : [['connection', entry.connection.name]]),
    ...(entry.operation === undefined ? [] : [['operation', entry.operation]]),
  ] as [string, string][]
  const facts = { severity: severities[status], time: entry.time, msgid: entry.kind, data }
  return frame(header, facts, lineOf(record))
}

export function syslogStub(record: LogRecord, reason: string, header: SyslogHeader): Buffer {
  const data: [string, string][] = [
    ['id', record.id],
    ['leaf', record.leafHash],
    ['seq', String(record.index)],
  ]
  const facts = { severity: severities.error, time: new Date().toISOString(), msgid: 'export.stub', data }
  return frame(header, facts, stubLine(record, reason.slice(0, 200)))
}

interface Facts {
  readonly severity: number
  readonly time: string
  readonly msgid: string
  readonly data: readonly (readonly [string, string])[]
}

/** `MSG-LEN SP SYSLOG-MSG` (RFC 5425 section 4.3, RFC 6587 section 3.4.1). */
function frame(header: SyslogHeader, facts: Facts, text: Buffer): Buffer {
  const { facility, hostname, appName, enterprise } = header
  const head = [
    `<${facility * 8 + facts.severity}>1`,
    facts.time,
    printable(hostname, 255),
    printable(appName, 48),
    String(process.pid),
    printable(facts.msgid, 32),
    `[sallyport@${enterprise} ${facts.data.map(([name, value]) => `${name}="${escaped(value)}"`).join(' ')}]`,
    '',
  ].join(' ')
  const message = Buffer.concat([Buffer.from(head), text])
  return Buffer.concat([Buffer.from(`${message.length} `), message])
}

/** PRINTUSASCII (section 6): anything else becomes `_`; nothing becomes the NILVALUE. */
function printable(text: string, most: number): string {
  return text.replaceAll(/[^!-~]/g, '_').slice(0, most) || '-'
}

/** A PARAM-VALUE (section 6.3.3): `"`, `\` and `]` are escaped; control characters, which some receivers refuse, go. */
function escaped(value: string): string {
  return value
    .toWellFormed()
    .replaceAll(/\p{Cc}/gu, ' ')
    .slice(0, 1024)
    .replaceAll(/["\\\]]/g, found => `\\${found}`)
}
