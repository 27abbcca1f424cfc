import type { Writable } from 'node:stream'
import type { SendResult, Sink } from '../sink.ts'
import { lineOf, stubLine } from './ndjson.ts'

/** Writes entries as NDJSON to a stream that is already open, such as standard output of a container. */
export function createStreamSink(options: { readonly name: string; readonly stream: Writable }): Sink {
  const { name, stream } = options
  return {
    name,
    type: 'stdout',
    limits: { maxEvents: 1000, maxBytes: 1024 ** 2, maxEventBytes: 1024 ** 2 },
    encode: lineOf,
    stub: stubLine,
    send: batch =>
      new Promise<SendResult>(resolve => {
        const text = `${batch.map(({ body }) => body.toString('utf8')).join('\n')}\n`
        // The callback is the back-pressure: it comes when the stream has handed the bytes on.
        stream.write(text, error => {
          resolve(
            error == null ? { result: 'accepted' } : { result: 'retry', detail: `stream: ${error.name}` },
          )
        })
      }),
    close: () => Promise.resolve(),
  }
}
