/** A test reporter that prints the failures in full and closes with the counts. */
import type { TestEvent } from 'node:test/reporters'

export default async function* summary(source: AsyncIterable<TestEvent>): AsyncGenerator<string> {
  const failures: string[] = []
  const skips: string[] = []
  const counts = { passed: 0, failed: 0, skipped: 0 }
  for await (const event of source) {
    if (event.type !== 'test:pass' && event.type !== 'test:fail') continue
    if (event.data.details.type === 'suite') continue
    const { name, file, skip } = event.data
    if (skip !== undefined) {
      counts.skipped++
      skips.push(`  skipped: ${name}${typeof skip === 'string' ? `: ${skip}` : ''}`)
    } else if (event.type === 'test:pass') {
      counts.passed++
    } else {
      counts.failed++
      const { error } = event.data.details
      const cause = error.cause ?? error
      failures.push(
        `\nFAILED ${file ?? ''} > ${name}\n${cause instanceof Error ? cause.stack : String(cause)}`,
      )
    }
  }
  yield `\n${[...failures, ...skips].join('\n')}\n`
  yield `\n${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped\n`
  if (process.env['CI'] === 'true' && counts.skipped > 0) {
    yield 'In CI a skip is a failure.\n'
    process.exitCode = 1
  }
}
