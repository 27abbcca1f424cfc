/** The options of a connection that speaks MCP: its servers, what their tools are taken for, and its bounds. */
import { z } from 'zod'
import { byteSize, duration } from '../../config/units.ts'
import { upstreamBase } from '../http/flavour.ts'
import { commonSettings } from '../http/settings.ts'
import { packNames } from './packs/index.ts'

const template = z.string().describe('Text in which `${name}` stands for a secret of the `credential` block')

/** In `env`: where the credential goes by which a process may use the gateway itself. */
export const tokenPlace = '${gateway.token}'

const names = z
  .array(z.string().min(1).max(256))
  .max(1000)
  .default([])
  .describe('Names of tools as the server has them; `*` for any text')

const risk = z
  .strictObject({ read: names, write: names, delete: names, admin: names })
  .prefault({})
  .describe(
    'What tools do. The gravest list that names a tool counts; a tool in none is `write`, and graver where its ' +
      'name or its own annotations say so',
  )

const classification = {
  risk,
  packs: z
    .array(z.string().refine(isPack, { error: unknownPack }))
    .default([])
    .describe('Classifications that come with the gateway: risk, tags and masks by tool'),
  annotations: z
    .enum(['tighten', 'trust'])
    .default('tighten')
    .describe(
      'A server’s own hints make a tool graver only; `trust` also lets `readOnlyHint` make it a `read`',
    ),
}

const prefix = z
  .string()
  .regex(/^[A-Za-z0-9_.-]{0,32}$/, 'letters, digits, `_`, `.`, `-`, at most 32')
  .optional()
  .describe(
    'Put before the names of its tools and prompts. Default: nothing for one server, `<name>_` for several',
  )

const serverName = z
  .string()
  .regex(/^[a-z0-9][a-z0-9-]{0,31}$/, 'kebab-case, at most 32 characters')
  .describe('How entries, pins and conditions call it')

const process = z
  .strictObject({
    per: z
      .enum(['identity', 'gateway'])
      .default('identity')
      .describe(
        'Who shares a process: the sessions of one identity, or everybody. Whoever is lent other secrets never does',
      ),
    most: z
      .int()
      .min(1)
      .max(1000)
      .default(16)
      .describe('Most processes at once; an idle one ends for the next'),
    calls: z
      .int()
      .min(1)
      .max(10_000)
      .default(64)
      .describe(
        'Most calls that one process has at once. With 1 what it does meanwhile is that call’s for certain',
      ),
    queue: z
      .int()
      .min(0)
      .max(10_000)
      .default(0)
      .describe('Most calls that wait for their turn where it has as many; the next is refused'),
    start: duration().prefault('30s').describe('From its start to the end of the handshake'),
    idle: duration().prefault('10m').describe('A process that nobody uses for this long is stopped'),
    memory: byteSize()
      .prefault('1GiB')
      .describe('Private memory of each of its processes, kept by the kernel (RLIMIT_DATA); 0 for no limit'),
    cpu_time: duration()
      .prefault('0s')
      .describe('Processor time of each of its processes, kept by the kernel (RLIMIT_CPU); 0 for no limit'),
  })
  .prefault({})
  .describe('For a `command`: how its processes are run')

const variable = z
  .string()
  .regex(/^[A-Za-z_][A-Za-z0-9_]*$/, 'letters, digits, `_`')
  .refine(name => !/^(?:LD_|DYLD_)/.test(name), 'not a variable of the loader')

const behind = z.strictObject({
  name: serverName,
  url: z
    .string()
    .refine(isEndpoint, 'write an http or https URL without credentials or fragment')
    .optional()
    .describe('Its MCP endpoint (Streamable HTTP); in its place `command`'),
  command: z
    .string()
    .min(1)
    .max(4096)
    .refine(text => !text.includes('\0'), 'holds a NUL')
    .optional()
    .describe('A program that speaks MCP over its standard input and output; started at the first call'),
  args: z
    .array(z.string().max(4096))
    .max(100)
    .default([])
    .describe('Its arguments. Others on this machine can read them: secrets belong into `env`'),
  env: z
    .record(variable, template)
    .default({})
    .describe(
      'Its environment, with secrets that no client sees. Of the gateway’s own it sees `PATH`, the locale and `TMPDIR` alone',
    ),
  connections: z
    .array(z.string().min(1).max(63))
    .max(64)
    .default([])
    .describe(
      'Connections of this gateway that it may use, by a credential that stands in its `env` for `${gateway.token}`: good ' +
        'while it works on somebody’s call, and then that somebody’s',
    ),
  cwd: z.string().max(4096).optional().describe('Its working directory; default the gateway’s'),
  process,
  headers: z
    .array(z.strictObject({ header: z.string(), value: template }))
    .default([])
    .describe('How it is told who is asking: headers with secrets that no client sees'),
  era: z
    .enum(['auto', 'modern', 'legacy'])
    .default('auto')
    .describe('`auto` asks the server: 2026-07-28 (`modern`), else the handshake of 2025 (`legacy`)'),
  prefix,
  ...classification,
})

export const mcpSettings = z
  .strictObject({
    servers: z
      .array(behind)
      .min(1)
      .max(64)
      .describe('The servers behind this connection; clients see them as one'),
    instructions: z
      .string()
      .max(16_384)
      .optional()
      .describe('What clients are told in place of the servers’ own instructions'),
    hosts: z
      .array(z.string())
      .default([])
      .describe('Names by which clients may reach this connection, besides `public_url` and loopback names'),
    origins: z
      .array(z.string())
      .default([])
      .describe('Web origins whose pages may call it, such as `https://inspector.example.com`'),
    limits: z
      .strictObject({
        url_length: byteSize().prefault('16KiB').describe('Longest request target'),
        headers: byteSize().prefault('64KiB').describe('All header lines of a request together'),
        header_count: z.int().min(1).max(2000).default(200).describe('Most header lines of a request'),
        message: byteSize().prefault('4MiB').describe('Largest message, in either direction'),
        sessions: z
          .int()
          .min(1)
          .max(1_000_000)
          .default(10_000)
          .describe('Most sessions of 2025-era clients at once; the one idle longest ends for the next'),
        catalogue: z
          .int()
          .min(1)
          .max(100_000)
          .default(5000)
          .describe('Most tools, prompts or resources of one server'),
        replay: byteSize()
          .prefault('32MiB')
          .describe(
            'What is kept of streams for 2025-era clients that lose their connection, all together; 0 for nothing',
          ),
      })
      .prefault({})
      .describe('What a message may be'),
    timeouts: z
      .strictObject({
        connect: duration().prefault('10s').describe('To connect to a server, TLS included'),
        headers: duration().prefault('5m').describe('From the end of a request to the head of the answer'),
        idle: duration().prefault('0s').describe('Between two pieces of an answer; 0 for none'),
        request_body: duration().prefault('30s').describe('For a request to arrive'),
        session: duration().prefault('1h').describe('A 2025-era session that is idle for this long ends'),
        resume: duration()
          .prefault('30s')
          .describe(
            'A 2025-era client that lost its stream may come back for the rest for this long, and its call goes on; 0 for ' +
              'never',
          ),
        list: duration()
          .prefault('45s')
          .describe(
            'Of several servers: one that does not say what it offers for this long is left out of the list',
          ),
        keep_alive: duration().prefault('15s').describe('A comment keeps silent streams open this often'),
      })
      .prefault({})
      .describe('How long to wait'),
    hold: z
      .strictObject({
        modern: duration()
          .prefault('50s')
          .describe('One round of a 2026-era client that waits for a person; under its own 60 s'),
        rounds: z.int().min(0).max(9).default(8).describe('Further rounds that it is asked to come back for'),
        legacy: duration().prefault('50s').describe('A 2025-era client that waits for a person'),
        calls: z.int().min(0).max(100_000).default(10_000).describe('Most calls held at once'),
        per_client: z
          .int()
          .min(0)
          .max(100_000)
          .default(100)
          .describe('Most calls of one identity held at once; the next is told at once to come again'),
      })
      .prefault({})
      .describe('How long a call that waits for a person is held before the client is told to come again'),
    pins: z
      .enum(['first-sight', 'off'])
      .default('first-sight')
      .describe(
        'Tools are held to the definitions first seen; what is new or changed later is hidden until a person accepts ' +
          'it (`sallyport tools accept`)',
      ),
    injection: z
      .enum(['flag', 'withhold', 'off'])
      .default('flag')
      .describe(
        'What happens to a tool’s answer that holds hidden or commanding text: it is marked in the entry, or withheld',
      ),
    catalogue_ttl: duration()
      .prefault('60s')
      .describe(
        'How long a server’s list is used for calls before it is read again; a client’s list reads it anew',
      ),
    tls: commonSettings.tls,
    pool: commonSettings.pool,
  })
  .superRefine((settings, context) => {
    const seen = new Set<string>()
    settings.servers.forEach(({ name }, i) => {
      if (seen.has(name))
        context.addIssue({ code: 'custom', path: ['servers', i, 'name'], message: 'used already' })
      seen.add(name)
    })
    settings.servers.forEach(({ url, command }, i) => {
      if ((url === undefined) === (command === undefined))
        context.addIssue({
          code: 'custom',
          path: ['servers', i],
          message: 'write `url` or `command`, one of them',
        })
    })
    settings.servers.forEach((server, i) => {
      const message = callsBack(server)
      if (message !== undefined)
        context.addIssue({ code: 'custom', path: ['servers', i, 'connections'], message })
    })
  })

export type McpSettings = z.output<typeof mcpSettings>
export type ServerSettings = McpSettings['servers'][number]
export type ProcessSettings = ServerSettings['process']

function isEndpoint(url: string): boolean {
  try {
    const parsed = new URL(url)
    parsed.search = ''
    upstreamBase(parsed.href)
    return !url.includes('#')
  } catch {
    return false
  }
}

/** What is wrong with how a program is let use the gateway; undefined where nothing is. */
function callsBack({ env, url, connections }: z.output<typeof behind>): string | undefined {
  const texts = Object.values(env)
  const asks = texts.some(each => each.includes(tokenPlace))
  if (texts.some(each => each.replaceAll(tokenPlace, '').includes('${gateway.')))
    return `of the gateway \`env\` can have \`${tokenPlace}\` alone`
  if (asks && connections.length === 0)
    return `name the connections at which \`${tokenPlace}\` is to be taken`
  if (connections.length === 0) return undefined
  if (url !== undefined) return 'is for a `command`: a server with an address has a credential of its own'
  return asks ? undefined : `nothing in \`env\` gives it \`${tokenPlace}\``
}

function isPack(name: string): boolean {
  return packNames.includes(name)
}

function unknownPack(): string {
  return packNames.length === 0 ? 'there are none' : `there are: ${packNames.join(', ')}`
}
