/** The gateway's own operational log, one JSON object per line on standard error. It is not the audit log. */
export interface Logger {
  info(event: string, facts?: Readonly<Record<string, unknown>>): void
  warn(event: string, facts?: Readonly<Record<string, unknown>>): void
  error(event: string, facts?: Readonly<Record<string, unknown>>): void
}

type Level = 'info' | 'warn' | 'error'

/** `write` takes one line without its end. Facts never hold a secret or a body. */
export function createLogger(
  write: (line: string) => void = line => void process.stderr.write(`${line}\n`),
): Logger {
  const at =
    (level: Level) =>
    (event: string, facts: Readonly<Record<string, unknown>> = {}): void =>
      write(JSON.stringify({ time: new Date().toISOString(), level, event, ...facts }))
  return { info: at('info'), warn: at('warn'), error: at('error') }
}

export const silentLogger: Logger = { info: () => undefined, warn: () => undefined, error: () => undefined }

/** The same, at most once in so many milliseconds: what comes in between is left out. */
export function atMostEvery<T>(ms: number, act: (value: T) => void): (value: T) => void {
  let last = Number.NEGATIVE_INFINITY
  return value => {
    const now = performance.now()
    if (now - last < ms) return
    last = now
    act(value)
  }
}
