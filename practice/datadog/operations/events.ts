import {
  type Answer,
  type Call,
  listOf,
  objectOf,
  ok,
  type Operations,
  Refusal,
  textOf,
} from '../operation.ts'
import { uuid } from '../state.ts'
import type { Json } from '../wire.ts'

const oldest = 18 * 3600

function add(call: Call, sent: Json): Json {
  const { state } = call
  const now = Math.floor(state.now() / 1000)
  const time = typeof sent['date_happened'] === 'number' ? sent['date_happened'] : now
  if (now - time > oldest) throw new Refusal(400, 'Event too far in the past')
  const id = state.number()
  const event = {
    alert_type: 'info',
    priority: 'normal',
    tags: [],
    host: null,
    ...sent,
    date_happened: time,
    id,
    uid: uuid(`event ${id}`),
  }
  state.events.push(event)
  return event
}

function v1Shape(stored: Json): Json {
  const event = Object.fromEntries(Object.entries(stored).filter(([name]) => name !== 'uid'))
  return {
    ...event,
    id_str: String(event['id']),
    url: `/event/event?id=${String(event['id'])}`,
    payload: '{}',
  }
}

function v2Shape(event: Json): Json {
  const time = Number(event['date_happened']) * 1000
  const title = event['title']
  return {
    type: 'event',
    id: event['uid'],
    attributes: {
      message: event['text'],
      tags: event['tags'],
      timestamp: new Date(time).toISOString(),
      attributes: {
        title,
        aggregation_key: event['aggregation_key'],
        tags: event['tags'],
        timestamp: time,
        service: 'undefined',
        status: event['alert_type'],
        evt: { id: String(event['id']), name: title },
      },
    },
  }
}

function search(call: Call, of: { query: string; limit: number }): Answer {
  const words = of.query
    .toLowerCase()
    .split(/\s+/)
    .filter(word => word !== '' && word !== '*')
  const matching = call.state.events.filter(event => {
    const text = JSON.stringify(event).toLowerCase()
    return words.every(word => text.includes(word))
  })
  return ok({
    data: matching.toReversed().slice(0, of.limit).map(v2Shape),
    meta: { elapsed: 5, request_id: uuid('event search'), status: 'done' },
  })
}

export const events: Operations = {
  'v1.createEvent': call => {
    const sent = objectOf(call.body)
    const text = textOf(sent, 'text')
    if (text.length > 4000) throw new Refusal(400, 'Text too long')
    const event = add(call, { ...sent, title: textOf(sent, 'title'), text })
    return ok({ status: 'ok', event: v1Shape(event) }, 202)
  },
  'v1.listEvents': ({ state, query }) => {
    const [start, end] = [Number(query.get('start')), Number(query.get('end'))]
    const within = state.events.filter(
      ({ date_happened: time }) => Number(time) >= start && Number(time) <= end,
    )
    return ok({ events: within.map(v1Shape), status: 'ok' })
  },
  'v1.getEvent': ({ state, params }) => {
    const event = state.events.find(each => String(each['id']) === params['event_id'])
    if (event === undefined) throw new Refusal(404, 'No event matches that event_id')
    return ok({ event: v1Shape(event), status: 'ok' })
  },
  'v2.createEvent': call => {
    const sent = objectOf(objectOf(objectOf(call.body)['data'])['attributes'])
    const own = objectOf(sent['attributes'] ?? {})
    const category = sent['category']
    if (category !== 'change' && category !== 'alert') throw new Refusal(400, 'Invalid category')
    if (category === 'change') objectOf(own['changed_resource'])
    const event = add(call, {
      title: textOf(sent, 'title'),
      text: sent['message'] ?? '',
      tags: listOf(sent['tags']),
      aggregation_key: sent['aggregation_key'],
    })
    const evt = { id: String(event['id']), uid: event['uid'] }
    return ok(
      { data: { type: 'event', attributes: { attributes: { evt } } }, links: { self: '/api/v2/events' } },
      202,
    )
  },
  'v2.listEvents': call =>
    search(call, {
      query: call.query.get('filter[query]') ?? '',
      limit: Number(call.query.get('page[limit]') ?? 10),
    }),
  'v2.searchEvents': call => {
    const sent = objectOf(call.body ?? {})
    const filter = objectOf(sent['filter'] ?? {})
    const paging = objectOf(sent['page'] ?? {})
    return search(call, { query: String(filter['query'] ?? ''), limit: Number(paging['limit'] ?? 10) })
  },
  'v2.getEvent': ({ state, params }) => {
    const event = state.events.find(each => each['uid'] === params['event_id'])
    if (event === undefined) throw new Refusal(404, 'Event not found')
    return ok({ data: v2Shape(event) })
  },
}
