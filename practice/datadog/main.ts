/** Runs the practice Datadog as a program: `script/node practice/datadog/main.ts [--port 8126] [--sandbox]`. Ctrl-C ends it. */
import { parseArgs } from 'node:util'
import { startPracticeDatadog } from './practice-datadog.ts'

const { values } = parseArgs({
  options: { port: { type: 'string', default: '8126' }, sandbox: { type: 'boolean', default: false } },
})
const port = Number(values.port)
if (!Number.isInteger(port) || port < 0 || port > 65_535) {
  process.stderr.write('usage: practice/datadog/main.ts [--port NUMBER] [--sandbox]\n')
  process.exit(2)
}
const practice = await startPracticeDatadog({ port, sandbox: values.sandbox })
const about = values.sandbox
  ? [
      `An empty practice Datadog listens at ${practice.url}. It asks for no keys: sallyport sessions replay <id> --sandbox ${practice.url}`,
      '',
    ]
  : [
      `The practice Datadog listens at ${practice.url} (API and all intakes). Its keys are public, its data invented.`,
      `  DD-API-KEY          ${practice.keys.apiKey}`,
      `  DD-APPLICATION-KEY  ${practice.keys.appKey}`,
      `  access token        ${practice.keys.accessToken}`,
      '',
    ]
process.stdout.write(about.join('\n'))
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void practice.close())
