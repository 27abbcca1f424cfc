/** A PostgreSQL server of the tests' own, from Debian's package, on a free loopback port, in a directory that goes with it. */
import { execFile, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { appendFile, chmod, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir, userInfo } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { testCertificate } from '../../src/protocols/test-certificate.ts'

const run = promisify(execFile)
const installed = '/usr/lib/postgresql'

export interface Cluster extends AsyncDisposable {
  readonly port: number
  /** Directory of the server's programs. */
  readonly bin: string
  /** Runs SQL as the superuser `postgres`, directly. Gives rows as psql -At prints them. */
  sql(text: string, database?: string): Promise<string>
  stop(): Promise<void>
}

/** The newest installed version's programs; undefined: none, and the reason is for the test's skip. */
export async function postgresPrograms(): Promise<string | undefined> {
  if (!existsSync(installed)) return undefined
  const versions = (await readdir(installed)).filter(each => existsSync(join(installed, each, 'bin/initdb')))
  const newest = versions.toSorted((a, b) => Number(b) - Number(a))[0]
  return newest === undefined ? undefined : join(installed, newest, 'bin')
}

/** What a test says that can't run; in CI that is a failure (see script/servers). */
export const missing = 'SKIPPED LOUDLY: PostgreSQL is not installed; run script/servers'

/** Starts a server with TLS, whose roles log in by SCRAM over TCP (`password_encryption` aside). */
export async function startCluster(bin: string): Promise<Cluster> {
  const directory = await mkdtemp(join(tmpdir(), 'sallyport-postgres-'))
  const data = join(directory, 'data')
  const port = await freePort()
  // The server refuses to run as root.
  const root = userInfo().uid === 0
  if (root) await run('chown', ['postgres', directory])
  const as = (program: string, args: readonly string[]): [string, string[]] =>
    root
      ? ['runuser', ['-u', 'postgres', '--', join(bin, program), ...args]]
      : [join(bin, program), [...args]]
  const exec = async (program: string, args: readonly string[]): Promise<void> => {
    await run(...as(program, args), { cwd: directory })
  }
  await exec('initdb', ['-D', data, '-A', 'trust', '-U', 'postgres', '-E', 'UTF8', '--locale=C.UTF-8', '-N'])
  await writeFile(join(data, 'server.crt'), testCertificate.cert)
  await writeFile(join(data, 'server.key'), testCertificate.key)
  await chmod(join(data, 'server.key'), 0o600)
  if (root) await run('chown', ['postgres', join(data, 'server.crt'), join(data, 'server.key')])
  await appendFile(
    join(data, 'postgresql.conf'),
    `listen_addresses='127.0.0.1'\nport=${port}\nunix_socket_directories='${directory}'\nfsync=off\nssl=on\nlog_min_messages=fatal\n`,
  )
  await writeFile(
    join(data, 'pg_hba.conf'),
    [
      'host all postgres 127.0.0.1/32 trust',
      'host all md5_user 127.0.0.1/32 md5',
      'hostssl all clear_user 127.0.0.1/32 password',
      'host all all 127.0.0.1/32 scram-sha-256',
    ].join('\n'),
  )
  await new Promise<void>((resolve, reject) => {
    const [program, args] = as('pg_ctl', ['-D', data, '-l', join(directory, 'log'), '-w', 'start'])
    spawn(program, args, { cwd: directory, stdio: 'ignore' })
      .on('error', reject)
      .on('exit', code => (code === 0 ? resolve() : reject(new Error(`pg_ctl start: ${code}`))))
  })
  const stop = async (): Promise<void> => {
    await exec('pg_ctl', ['-D', data, '-m', 'immediate', '-w', 'stop']).catch(() => undefined)
    await rm(directory, { recursive: true, force: true })
  }
  return {
    port,
    bin,
    async sql(text, database = 'postgres') {
      const args = ['-h', '127.0.0.1', '-p', String(port), '-U', 'postgres', '-XAtqc', text, database]
      return (await run(join(bin, 'psql'), args)).stdout.trim()
    },
    stop,
    [Symbol.asyncDispose]: stop,
  }
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.on('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number }
      server.close(() => resolve(port))
    })
  })
}
