/** What a tool does, from the most to the least trusted word: the operator's, a pack's, and then, to tighten, its own. */
import { compileGlob, type Glob } from '../../policy/glob.ts'
import { risks } from '../../model/decision.ts'
import type { Risk } from '../../model/action.ts'
import { fieldsOf, type Fields } from './rpc.ts'
import { packs } from './packs/index.ts'
import type { ServerSettings } from './settings.ts'

export interface Classified {
  readonly risk: Risk
  readonly tags: readonly string[]
  /** Mask profiles that the results always get. */
  readonly mask: readonly string[]
}

interface Rule {
  readonly glob: Glob
  readonly risk: Risk
  readonly tags: readonly string[]
  readonly mask: readonly string[]
}

/** Compiled once per server. */
export class Classifier {
  readonly #rules: readonly Rule[]
  readonly #trusts: boolean

  constructor({ risk, packs: names, annotations }: ServerSettings) {
    const own = risks.flatMap(each => risk[each].map(match => ({ match, risk: each })))
    const packed = packs.filter(({ name }) => names.includes(name)).flatMap(({ tools }) => tools)
    this.#rules = [...own, ...packed].map(({ match, ...rest }) => ({
      glob: compileGlob(match),
      tags: [],
      mask: [],
      ...rest,
    }))
    this.#trusts = annotations === 'trust'
  }

  /** Without a definition (a tool that is not there), a name is judged as any other of its form. */
  classify(name: string, definition: Fields | undefined): Classified {
    const matched = this.#rules.filter(({ glob }) => glob.matches(name))
    const hints = fieldsOf(definition?.['annotations'])
    const said = matched.length > 0
    const base: Risk = said
      ? gravest(matched.map(({ risk }) => risk))
      : this.#trusts && hints['readOnlyHint'] === true
        ? 'read'
        : gravest(['write', ofName(name)])
    // What a server says of itself may make it graver, never milder.
    const hinted: Risk =
      hints['destructiveHint'] === true && hints['readOnlyHint'] !== true ? 'delete' : 'read'
    return {
      risk: gravest([base, hinted]),
      tags: [...new Set(matched.flatMap(({ tags }) => tags))].toSorted(),
      mask: [...new Set(matched.flatMap(({ mask }) => mask))].toSorted(),
    }
  }
}

const deletes = /^(?:delete|remove|destroy|drop|purge|erase|wipe|truncate)(?=[_\-.A-Z]|$)/
const administers = /^(?:grant|revoke|impersonate)(?=[_\-.A-Z]|$)/

function ofName(name: string): Risk {
  if (administers.test(name)) return 'admin'
  return deletes.test(name) ? 'delete' : 'read'
}

function gravest(all: readonly Risk[]): Risk {
  return all.reduce((a, b) => (risks.indexOf(b) > risks.indexOf(a) ? b : a), 'read')
}
