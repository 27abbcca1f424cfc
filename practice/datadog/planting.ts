/** What a sandbox has besides Datadog's API: objects are put at their place as they were somewhere else. */
import { findOperation } from '../../src/protocols/http/datadog/catalogue.ts'
import { type Answer, nothing, objectOf, ok, Refusal } from './operation.ts'
import type { PracticeState } from './state.ts'
import type { Json } from './wire.ts'

const prefix = '/_sandbox'

/** The part of a path below `/_sandbox`; undefined where it is not of a sandbox's own. */
export function sandboxPlace(path: string): string | undefined {
  return path === prefix || path.startsWith(`${prefix}/`) ? path.slice(prefix.length) : undefined
}

/** `GET /_sandbox` says that this is one; `PUT /_sandbox/<path of an object>` puts it there, whatever was there. */
export function answerSandbox(
  state: PracticeState,
  asked: { readonly method: string; readonly place: string; readonly body: unknown },
): Answer {
  const { method, place, body } = asked
  if (place === '') return ok({ sandbox: true })
  const match = findOperation('GET', place)
  const plant = method === 'PUT' && match !== undefined ? planters[match.operation.name] : undefined
  if (plant === undefined) throw new Refusal(404, `A sandbox takes nothing at ${place}`)
  const [id] = Object.values(match!.params)
  plant(state, id!, objectOf(body))
  return nothing
}

type Plant = (state: PracticeState, id: string, found: Json) => void

const planters: Readonly<Record<string, Plant>> = {
  'v1.getMonitor': (state, id, found) =>
    state.monitors.set(Number(id), { tags: [], ...found, id: Number(id) }),
  'v1.getDashboard': (state, id, found) => state.dashboards.set(id, { widgets: [], ...found, id }),
  'v2.getDowntime': (state, id, found) =>
    state.downtimes.set(id, objectOf(objectOf(found['data'])['attributes'])),
}
