/**
 * Masks what a server says bit by bit before its answer. Each notification is masked by itself; where one goes on with
 * what the last one began, and both together show something that must not be seen, the rest of it is masked too. What
 * came first has been sent by then, so what is kept back is the second part.
 */
import type { ContentMask } from './content-mask.ts'
import type { Fields, RpcNotification } from './rpc.ts'

/** How much of what was said last is looked at again, UTF-16 units. */
const longestTail = 512
/** Members that a client shows one after another: of log messages and of progress. */
const spokenMembers = ['data', 'message']

export class RunningMask {
  readonly #mask: ContentMask
  readonly #tails = new Map<string, string>()

  constructor(mask: ContentMask) {
    this.#mask = mask
  }

  /** The params to send. Throws `mask-unable`. */
  async params({ params }: Pick<RpcNotification, 'params'>): Promise<Fields> {
    const masked = await this.#mask.fields(params)
    const changed: Record<string, unknown> = {}
    for (const name of spokenMembers) {
      const text = masked[name]
      if (typeof text === 'string') changed[name] = this.#goesOn(name, text)
    }
    return Object.keys(changed).length === 0 ? masked : { ...masked, ...changed }
  }

  #goesOn(name: string, text: string): string {
    const tail = this.#tails.get(name) ?? ''
    let shown = text
    for (const between of tail === '' ? [] : ['', '\n']) {
      const whole = tail + between + text
      const masked = this.#mask.text(whole)
      if (masked === whole) continue
      const before = tail + between
      shown = masked.startsWith(before)
        ? masked.slice(before.length)
        : masked.slice(sharedStart(tail, masked))
      break
    }
    this.#tails.set(name, this.#tailOf(shown === text ? tail + text : shown))
    return shown
  }

  /** The end of what was said; nothing where its own beginning would be taken for something else. */
  #tailOf(said: string): string {
    const tail = said.slice(-longestTail)
    return this.#mask.text(tail) === tail ? tail : ''
  }
}

function sharedStart(a: string, b: string): number {
  const most = Math.min(a.length, b.length)
  let i = 0
  while (i < most && a.charCodeAt(i) === b.charCodeAt(i)) i++
  return i
}
