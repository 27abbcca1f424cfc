/** A real rsyslog (Debian packages `rsyslog`, `rsyslog-gnutls`, `rsyslog-openssl`) that takes syslog over TLS into a file. */
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync, truncateSync } from 'node:fs'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { Issued } from '../support/test-authority.ts'
import { until } from '../support/until.ts'

const program = '/usr/sbin/rsyslogd'

/** Undefined where rsyslog is here, otherwise why a test is skipped. Throws in CI, where a skip is a failure. */
export async function missingRsyslog(): Promise<string | undefined> {
  try {
    await promisify(execFile)(program, ['-v'])
    return undefined
  } catch (error) {
    if (process.env['CI'] === 'true') throw error
    return 'SKIPPED: rsyslog is not here. That a real syslog server takes what we ship was NOT tested'
  }
}

export interface RsyslogOptions {
  /** rsyslog's TLS drivers: GnuTLS and OpenSSL. */
  readonly driver: 'gtls' | 'ossl'
  /** PEM file of who may vouch for clients. */
  readonly ca: string
  readonly server: Issued
  /** The name that a client's certificate must carry; undefined: clients show none. */
  readonly client?: string
}

/** One message as rsyslog's own parser took it apart. */
export interface ParsedMessage {
  readonly pri: string
  readonly version: string
  readonly time: string
  readonly host: string
  readonly app: string
  readonly msgid: string
  /** Members of the structured data, by its id. */
  readonly 'rfc5424-sd': Readonly<Record<string, Readonly<Record<string, string>>>>
  readonly msg: string
}

/**
 * The ruleset has a direct queue: a message is in the file before the next is read from the connection. With rsyslog's
 * default, a queue in memory, what it has read and not yet written is lost when it is killed (docs/guides/export.md).
 */
function configurationOf(directory: string, port: number, { driver, ca, server, client }: RsyslogOptions) {
  const permitted =
    client === undefined ? [] : [`streamDriver.authMode="x509/name" permittedPeer="${client}"`]
  return `
global(workDirectory="${directory}" maxMessageSize="128k"
  defaultNetstreamDriver="${driver}" defaultNetstreamDriverCAFile="${ca}"
  defaultNetstreamDriverCertFile="${server.cert}" defaultNetstreamDriverKeyFile="${server.key}")
module(load="imtcp")
module(load="mmpstrucdata")
template(name="time" type="list") { property(name="timereported" dateFormat="rfc3339") }
template(name="parsed" type="list") { property(name="$!all-json-plain") constant(value="\\n") }
ruleset(name="audit" queue.type="direct") {
  action(type="mmpstrucdata" sd_name.lowercase="off")
  set $!pri = $pri; set $!version = $protocol-version; set $!host = $hostname; set $!app = $app-name;
  set $!time = exec_template("time"); set $!msgid = $msgid; set $!msg = $msg;
  action(type="omfile" file="${directory}/audit.ndjson" template="parsed")
}
input(type="imtcp" port="${port}" address="127.0.0.1" listenPortFileName="${directory}/port" ruleset="audit"
  streamDriver.name="${driver}" streamDriver.mode="1" ${permitted.join('') || 'streamDriver.authMode="anon"'})
`
}

function listens(port: number): Promise<boolean> {
  return new Promise(resolve => {
    const socket = connect(port, '127.0.0.1', () => resolve(true))
    socket.on('error', () => resolve(false)).on('connect', () => socket.destroy())
  })
}

export class Rsyslog {
  readonly #directory: string
  #options: RsyslogOptions
  #port = 0
  #process: ChildProcess | undefined
  /** What it wrote to standard error, which is where it complains. */
  complaints = ''

  private constructor(directory: string, options: RsyslogOptions) {
    this.#directory = directory
    this.#options = options
  }

  static async start(options: RsyslogOptions): Promise<Rsyslog> {
    const made = new Rsyslog(await mkdtemp(join(tmpdir(), 'sallyport-rsyslog-')), options)
    await made.start()
    return made
  }

  get port(): number {
    return this.#port
  }

  /** Once more after `kill`, on the port it had; with other options where given. */
  async start(change: Partial<RsyslogOptions> = {}): Promise<void> {
    this.#options = { ...this.#options, ...change }
    const configuration = join(this.#directory, 'rsyslog.conf')
    await writeFile(configuration, configurationOf(this.#directory, this.#port, this.#options))
    const pidFile = join(this.#directory, 'pid')
    await rm(pidFile, { force: true })
    const child = spawn(program, ['-n', '-f', configuration, '-i', pidFile], {
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    this.#process = child
    child.stderr.on('data', (chunk: Buffer) => (this.complaints += chunk.toString()))
    const ask = async () => {
      if (child.exitCode !== null) throw new Error(`rsyslog ended: ${this.complaints}`)
      this.#port ||= Number(await readFile(join(this.#directory, 'port'), 'utf8').catch(() => '0'))
      return this.#port > 0 && (await listens(this.#port))
    }
    await until('rsyslog listens', ask)
  }

  /** As a power cut would end it. A line that it was killed in counts as not written, and nothing is put behind it. */
  async kill(): Promise<void> {
    const child = this.#process
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
    const ended = once(child, 'exit')
    child.kill('SIGKILL')
    await ended
    if (!existsSync(this.#file)) return
    const written = readFileSync(this.#file)
    truncateSync(this.#file, written.lastIndexOf('\n') + 1)
  }

  /** Stands still with its sockets open, or goes on. */
  freeze(still: boolean): void {
    this.#process?.kill(still ? 'SIGSTOP' : 'SIGCONT')
  }

  get #file(): string {
    return join(this.#directory, 'audit.ndjson')
  }

  /** Every message in its file, in order; the last line may be under way. */
  messages(): ParsedMessage[] {
    if (!existsSync(this.#file)) return []
    const lines = readFileSync(this.#file, 'utf8').split('\n').slice(0, -1)
    return lines.map(line => JSON.parse(line) as ParsedMessage)
  }

  async close(): Promise<void> {
    await this.kill()
    await rm(this.#directory, { recursive: true, force: true })
  }
}
