/** Figures and where they come from, as every page of `bench/results` has them. */
import { execFileSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { cpus, loadavg, totalmem } from 'node:os'
import { join } from 'node:path'

const results = join(import.meta.dirname, '..', 'results')

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}

/** The machine, the day and the commit, in one paragraph. `load` is what others were doing at the start. */
export function describeMachine(load: number): string {
  const [{ model } = { model: 'unknown CPU' }] = cpus()
  const commit = execFileSync('git', ['rev-parse', '--short', 'HEAD'], {
    cwd: import.meta.dirname,
    encoding: 'utf8',
  }).trim()
  const memory = Math.round(totalmem() / 1024 ** 3)
  const day = new Date().toISOString().slice(0, 10)
  return (
    `${day}, commit ${commit}, ${cpus().length} x ${model}, ${memory} GB, Node ${process.version}; ` +
    `load average at the start ${load.toFixed(2)} (this machine is shared: read the ratios, not the figures).`
  )
}

export function currentLoad(): number {
  return loadavg()[0]!
}

export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`
  return [line(head), line(head.map((_, i) => (i === 0 ? '---' : '---:'))), ...rows.map(line)].join('\n')
}

export function count(value: number): string {
  return Math.round(value).toLocaleString('en')
}

export function met(is: boolean): string {
  return is ? 'met' : '**not met**'
}

/** Prints a page and, where asked, keeps it as `bench/results/<name>.md`. */
export function publish(name: string, page: string, keep: boolean): void {
  console.log(page)
  if (!keep) return
  mkdirSync(results, { recursive: true })
  writeFileSync(join(results, `${name}.md`), `${page.trimEnd()}\n`)
}
