import { connect } from 'node:net'

/**
 * Sends bytes as they are and gives what came back until the other side ended, or until `quietMs` after the last byte:
 * for requests that no client library would send.
 */
export function sendRaw(url: string, bytes: string | Buffer, quietMs = 400): Promise<string> {
  const { hostname, port } = new URL(url)
  return new Promise((resolve, reject) => {
    const socket = connect(Number(port), hostname, () => socket.write(bytes))
    const chunks: Buffer[] = []
    let timer: NodeJS.Timeout | undefined
    const finish = (): void => {
      clearTimeout(timer)
      socket.destroy()
      resolve(Buffer.concat(chunks).toString('latin1'))
    }
    const wait = (ms: number): void => {
      clearTimeout(timer)
      timer = setTimeout(finish, ms)
    }
    wait(10_000)
    socket.on('data', chunk => {
      chunks.push(chunk)
      wait(quietMs)
    })
    socket.on('end', finish)
    socket.on('error', error => (chunks.length > 0 || 'code' in error ? finish() : reject(error)))
  })
}

/** A GET of this target with these header lines and `Connection: close`. */
export function rawGet(target: string, lines: readonly string[]): string {
  return [`GET ${target} HTTP/1.1`, 'Host: gateway.example.com', ...lines, 'Connection: close', '', ''].join(
    '\r\n',
  )
}

/** The status of a raw answer; 0 where the connection just ended. */
export function statusOf(answer: string): number {
  return Number(/^HTTP\/1\.1 (\d{3})/.exec(answer)?.[1] ?? 0)
}
