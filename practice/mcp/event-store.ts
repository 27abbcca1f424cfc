import type { EventStore } from '@modelcontextprotocol/server'

interface Kept {
  readonly stream: string
  readonly message: Parameters<EventStore['storeEvent']>[1]
}

/** The events of one session, so that a client that lost its stream gets the rest; the oldest are dropped. */
export function createEventStore(limit = 1000): EventStore {
  const events = new Map<string, Kept>()
  let made = 0
  return {
    storeEvent(stream, message) {
      const id = `${stream}_${++made}`
      if (events.size >= limit) events.delete(events.keys().next().value!)
      events.set(id, { stream, message })
      return Promise.resolve(id)
    },
    async replayEventsAfter(last, { send }) {
      const found = events.get(last)
      if (found === undefined) throw new Error('no such event')
      let after = false
      for (const [id, { stream, message }] of events) {
        // The first event of a stream is empty: it is there to give the client an id to come back with.
        if (after && stream === found.stream && Object.keys(message).length > 0) await send(id, message)
        if (id === last) after = true
      }
      return found.stream
    },
  }
}
