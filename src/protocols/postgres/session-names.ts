/**
 * Asks a session what its bare names mean, by SHOW, which takes no snapshot and so changes nothing in a transaction. It
 * goes as messages with names of their own, so that neither the client's unnamed statement nor an implicit transaction
 * is touched.
 */
import { cstring, int16, int32, message } from './codec.ts'
import type { Host } from './host.ts'
import { flush, readDataRow, sync } from './messages.ts'
import type { NameSpace } from './resources.ts'

const own = 'sallyport names'
const shown = ['search_path', 'role', 'session_authorization'] as const

function ask(setting: string): Buffer {
  return Buffer.concat([
    message('P', cstring(own), cstring(`SHOW ${setting}`), int16(0)),
    message('B', cstring(own), cstring(own), int16(0), int16(0), int16(0)),
    message('E', cstring(own), int32(0)),
    message('C', Buffer.from('P'), cstring(own)),
    message('C', Buffer.from('S'), cstring(own)),
  ])
}

/**
 * Undefined where the session can't be asked or does not say. `synced`: nothing was sent since the last Sync, so that one
 * may follow. Nothing of the client's may be under way.
 */
export async function askNames(host: Host, synced: boolean): Promise<NameSpace | undefined> {
  if (host.transaction === 'E') return undefined
  host.upstream.send(Buffer.concat([...shown.map(ask), synced ? sync : flush]))
  const answers: string[] = []
  // Each answer ends with CloseComplete of its portal and of its statement.
  for (let closed = 0; closed < shown.length * 2; ) {
    const each = await host.answer()
    if (each.type === 'D') answers.push(readDataRow(each.bytes)[0]?.toString('utf8') ?? '')
    else if (each.type === '3') closed++
    else if (each.type === 'E') {
      // Amid a pipeline the server would now drop the client's messages until a Sync that is not this one's to send.
      if (!synced) host.upstream.destroy()
      else while ((await host.answer()).type !== 'Z');
      return undefined
    }
  }
  if (synced) while ((await host.answer()).type !== 'Z');
  const [path = '', role = '', session = ''] = answers
  const user = role === 'none' ? session : role
  return {
    path: identifiers(path).map(each => (each === '$user' ? user : each)),
    own: role === 'none' && session === host.state.user,
  }
}

/** A list as the server writes it: quoted where need be, else in lower case. */
export function identifiers(list: string): string[] {
  return [...list.matchAll(/"((?:[^"]|"")*)"|([^",\s]+)/g)].map(([, quoted, plain]) =>
    quoted === undefined ? plain!.toLowerCase() : quoted.replaceAll('""', '"'),
  )
}
