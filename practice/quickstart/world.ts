import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createLogger } from '../../src/log.ts'
import { type RunningGateway, startGateway } from '../../src/main.ts'
import { type PracticeDatadog, startPracticeDatadog } from '../datadog/practice-datadog.ts'
import { startPracticeIdentityProvider } from '../identity-provider/practice-identity-provider.ts'

type IdentityProvider = Awaited<ReturnType<typeof startPracticeIdentityProvider>>

/** A gateway between a practice identity provider and a practice Datadog, all on this machine. */
export interface PracticeWorld {
  readonly directory: string
  /** Its `sallyport.yaml`. */
  readonly config: string
  readonly gateway: RunningGateway
  readonly url: string
  readonly identityProvider: IdentityProvider
  readonly datadog: PracticeDatadog
  /** Ends all of it and removes its files. */
  close(): Promise<void>
}

function configuration(issuer: string, datadog: string): string {
  return `# The quickstart's configuration: a gateway between a practice identity provider and a practice Datadog.
data: ./data
origin: quickstart.example.com/log
listen:
  - address: 127.0.0.1:0

identity:
  issuers:
    - name: practice
      issuer: ${issuer}
      audience: sallyport
      kind: { when: [{ claim: groups, in: agents, kind: agent }] }
sign_in:
  issuer: ${issuer}
  client_id: sallyport-cli
roles:
  admin: ['group:platform']
  auditor: ['group:security', 'group:platform']

connections:
  - name: datadog-prod
    protocol: datadog
    sensitivity: high
    labels: { env: prod }
    url: ${datadog}
    credential:
      api_key: \${env:PRACTICE_DD_API_KEY}
      app_key: \${env:PRACTICE_DD_APP_KEY}

policy:
  rules:
    - name: agents-read
      description: Agents may read. E-mail addresses and the like are masked; so are secrets, always
      effect: allow
      subjects: { kinds: [agent] }
      risks: [read]
      mask: [personal]
    - name: monitors-need-a-person
      description: A monitor changes only after somebody of the platform team has seen the change
      effect: require_approval
      subjects: { kinds: [agent] }
      operations: ['v1.updateMonitor', 'v1.createMonitor']
      approval: { approvers: ['group:platform'], expires: 10m }
    - name: nothing-is-deleted
      effect: deny
      risks: [delete]
      message: Agents delete nothing here. Ask the platform team.

# A first use is told at once, and three refusals are many: nobody waits a week for what is usual here.
detection:
  first_use: { after: 0s }
  surge: { ceiling: 20 }
  denial_streak: { count: 3 }

sinks:
  - name: datadog
    type: datadog
    intake_url: ${datadog}/api/v2/logs
    api_key: \${env:PRACTICE_DD_API_KEY}
    env: quickstart
`
}

export async function startPracticeWorld(log: (line: string) => void): Promise<PracticeWorld> {
  await using undo = new AsyncDisposableStack()
  const directory = await mkdtemp(join(tmpdir(), 'sallyport-quickstart-'))
  undo.defer(() => rm(directory, { recursive: true, force: true }))
  const identityProvider = await startPracticeIdentityProvider({ autoApprove: 'ana' })
  undo.defer(() => identityProvider.close())
  const datadog = await startPracticeDatadog()
  undo.defer(() => datadog.close())
  // The gateway is the only one that has these; the agent never does.
  process.env['PRACTICE_DD_API_KEY'] = datadog.keys.apiKey
  process.env['PRACTICE_DD_APP_KEY'] = datadog.keys.appKey
  const config = join(directory, 'sallyport.yaml')
  await writeFile(config, configuration(identityProvider.issuer, datadog.url))
  const gateway = await startGateway({ config, logger: createLogger(log) })
  undo.defer(() => gateway.close(1000))
  const all = undo.move()
  return {
    directory,
    config,
    gateway,
    url: gateway.urls[0]!,
    identityProvider,
    datadog,
    close: () => all.disposeAsync(),
  }
}
