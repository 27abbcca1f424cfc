/** A certificate authority of the tests' own, by openssl, which can also issue what must not be accepted. */
import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)

export interface Issued {
  readonly cert: string
  readonly key: string
}

export interface Wanted {
  /** `/CN=...` */
  readonly subject?: string
  /** As openssl writes it: `URI:spiffe://...`. */
  readonly names?: string
  /** Default: `clientAuth`; empty: the extension is left out. */
  readonly usage?: string
  readonly expired?: boolean
}

export class TestAuthority {
  readonly directory: string
  readonly ca: string
  readonly crl: string
  #count = 0

  private constructor(directory: string) {
    this.directory = directory
    this.ca = join(directory, 'ca.pem')
    this.crl = join(directory, 'crl.pem')
  }

  static async create(): Promise<TestAuthority> {
    const made = new TestAuthority(await mkdtemp(join(tmpdir(), 'sallyport-ca-')))
    const { directory } = made
    await mkdir(join(directory, 'new'))
    await writeFile(join(directory, 'index.txt'), '')
    await writeFile(join(directory, 'serial'), '1000\n')
    await writeFile(join(directory, 'crlnumber'), '1000\n')
    await writeFile(
      join(directory, 'ca.cnf'),
      `[ca]
default_ca = it
[it]
database = ${directory}/index.txt
new_certs_dir = ${directory}/new
certificate = ${directory}/ca.pem
private_key = ${directory}/ca.key
serial = ${directory}/serial
crlnumber = ${directory}/crlnumber
default_md = sha256
default_days = 30
default_crl_days = 30
unique_subject = no
policy = any
[any]
commonName = optional
[req]
distinguished_name = dn
[dn]
`,
    )
    await made.#openssl(
      ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '30'],
      ['-subj', '/CN=Test authority', '-keyout', join(directory, 'ca.key'), '-out', made.ca],
      ['-addext', 'basicConstraints=critical,CA:TRUE', '-addext', 'keyUsage=critical,keyCertSign,cRLSign'],
      ['-config', join(directory, 'ca.cnf')],
    )
    await made.#list()
    return made
  }

  async issue(wanted: Wanted): Promise<Issued> {
    const { subject = '/CN=somebody', names, usage = 'clientAuth', expired = false } = wanted
    const base = join(this.directory, `leaf-${this.#count++}`)
    const [key, request, cert, extensions] = [`${base}.key`, `${base}.csr`, `${base}.pem`, `${base}.ext`]
    await this.#openssl(
      ['req', '-new', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'],
      ['-subj', subject, '-keyout', key, '-out', request, '-config', join(this.directory, 'ca.cnf')],
    )
    await writeFile(
      extensions,
      [
        'basicConstraints=CA:FALSE',
        ...(usage === '' ? [] : [`extendedKeyUsage=${usage}`]),
        ...(names === undefined ? [] : [`subjectAltName=${names}`]),
      ].join('\n'),
    )
    await this.#openssl(
      ['ca', '-batch', '-notext', '-config', join(this.directory, 'ca.cnf'), '-in', request, '-out', cert],
      ['-extfile', extensions],
      expired ? ['-startdate', '20200101000000Z', '-enddate', '20210101000000Z'] : [],
    )
    return { cert, key }
  }

  /** Signed by itself, with the names of another. */
  async selfSigned(names: string): Promise<Issued> {
    const base = join(this.directory, `leaf-${this.#count++}`)
    const [key, cert] = [`${base}.key`, `${base}.pem`]
    await this.#openssl(
      ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '30'],
      ['-subj', '/CN=somebody', '-keyout', key, '-out', cert, '-addext', `subjectAltName=${names}`],
      ['-addext', 'extendedKeyUsage=clientAuth', '-config', join(this.directory, 'ca.cnf')],
    )
    return { cert, key }
  }

  async revoke({ cert }: Issued): Promise<void> {
    await this.#openssl('ca', '-config', join(this.directory, 'ca.cnf'), '-revoke', cert)
    await this.#list()
  }

  #list(): Promise<void> {
    return this.#openssl('ca', '-config', join(this.directory, 'ca.cnf'), '-gencrl', '-out', this.crl)
  }

  async #openssl(...args: readonly (string | readonly string[])[]): Promise<void> {
    await run('openssl', args.flat())
  }
}
