/** The SAML identity provider of `saml-idp.py`: pysaml2 and xmlsec1, from Debian's packages. */
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const run = promisify(execFile)
const python = '/usr/bin/python3'
const script = fileURLToPath(new URL('./saml-idp.py', import.meta.url))

const there = await run(python, [
  '-c',
  'import saml2; import os; assert os.path.exists("/usr/bin/xmlsec1")',
]).then(
  () => true,
  () => false,
)

/** What a test says that can't run; in CI that is a failure (see script/servers). */
export const missingSaml: string | false = there
  ? false
  : 'SKIPPED LOUDLY: python3-pysaml2 or xmlsec1 is not installed; run script/servers'

export interface SamlProvider extends AsyncDisposable {
  readonly entityId: string
  readonly ssoUrl: string
  /** Files. */
  readonly certificate: string
  readonly key: string
  /** Makes it know the service provider with these metadata. */
  trust(metadata: string): Promise<void>
}

export async function startSamlProvider(): Promise<SamlProvider> {
  const directory = await mkdtemp(join(tmpdir(), 'sallyport-saml-'))
  const [key, certificate, metadata] = ['key.pem', 'certificate.pem', 'metadata.xml'].map(each =>
    join(directory, each),
  ) as [string, string, string]
  const subject = ['-subj', '/CN=practice SAML', '-days', '30']
  await run('openssl', [
    'req',
    '-x509',
    '-newkey',
    'rsa:2048',
    '-nodes',
    '-keyout',
    key,
    '-out',
    certificate,
    ...subject,
  ])
  const child = spawn(python, [script, key, certificate, metadata], { stdio: ['ignore', 'pipe', 'inherit'] })
  const ended = once(child, 'close')
  const [port] = (await once(createInterface({ input: child.stdout }), 'line')) as [string]
  const address = `http://127.0.0.1:${port}`
  return {
    entityId: `${address}/metadata`,
    ssoUrl: `${address}/sso`,
    certificate,
    key,
    trust: text => writeFile(metadata, text),
    async [Symbol.asyncDispose]() {
      child.kill()
      await ended
      await rm(directory, { recursive: true })
    },
  }
}
