/** Tokens that say what they are by how they begin. */
import {
  type Alphabet,
  alphabet,
  dash,
  digit,
  dot,
  endOfRun,
  isAlphanumericAt,
  slash,
  tilde,
  underscore,
  upper,
} from './characters.ts'
import type { Detector, Found } from './detector.ts'

interface Form {
  readonly kind: string
  readonly prefixes: readonly string[]
  /** What follows the prefix. */
  readonly of: Alphabet
  readonly atLeast: number
  /** Exactly `atLeast`, and then no letter or digit. */
  readonly exact?: true
  /** No letter or digit may stand before it. */
  readonly alone?: true
}

const letters = alphabet(/[A-Za-z0-9]/)
const words = alphabet(/[A-Za-z0-9_]/)
const url = alphabet(/[A-Za-z0-9_-]/)
const path = alphabet(/[A-Za-z0-9/_-]/)

const forms: readonly Form[] = [
  { kind: 'datadog-app-key', prefixes: ['ddapp_'], of: letters, atLeast: 16 },
  { kind: 'datadog-token', prefixes: ['ddpat_', 'ddsat_'], of: words, atLeast: 16 },
  {
    kind: 'aws-access-key-id',
    prefixes: ['AKIA', 'ASIA', 'ABIA', 'ACCA'],
    of: alphabet(/[A-Z0-9]/),
    atLeast: 16,
    exact: true,
    alone: true,
  },
  { kind: 'gcp-api-key', prefixes: ['AIza'], of: url, atLeast: 35 },
  { kind: 'gcp-token', prefixes: ['ya29.'], of: url, atLeast: 20, alone: true },
  { kind: 'gcp-client-secret', prefixes: ['GOCSPX-'], of: url, atLeast: 20 },
  { kind: 'github-token', prefixes: ['ghp_', 'gho_', 'ghu_', 'ghs_', 'ghr_'], of: letters, atLeast: 36 },
  { kind: 'github-token', prefixes: ['github_pat_'], of: words, atLeast: 40 },
  {
    kind: 'gitlab-token',
    prefixes: ['glpat-', 'gldt-', 'glrt-', 'glcbt-', 'glptt-', 'glsoat-', 'glft-'],
    of: alphabet(/[A-Za-z0-9_.-]/),
    atLeast: 20,
  },
  {
    kind: 'slack-token',
    prefixes: [
      'xoxa-',
      'xoxb-',
      'xoxc-',
      'xoxd-',
      'xoxe-',
      'xoxe.',
      'xoxo-',
      'xoxp-',
      'xoxr-',
      'xoxs-',
      'xapp-',
    ],
    of: alphabet(/[A-Za-z0-9.%-]/),
    atLeast: 10,
  },
  {
    kind: 'slack-webhook',
    prefixes: ['hooks.slack.com/services/', 'hooks.slack.com/workflows/', 'hooks.slack.com/triggers/'],
    of: path,
    atLeast: 16,
  },
  {
    kind: 'stripe-key',
    prefixes: ['sk_live_', 'sk_test_', 'rk_live_', 'rk_test_'],
    of: letters,
    atLeast: 10,
    alone: true,
  },
  { kind: 'stripe-key', prefixes: ['whsec_'], of: alphabet(/[A-Za-z0-9+/=]/), atLeast: 24 },
  { kind: 'npm-token', prefixes: ['npm_'], of: letters, atLeast: 36 },
  { kind: 'age-secret-key', prefixes: ['AGE-SECRET-KEY-1'], of: letters, atLeast: 50 },
  { kind: 'ai-api-key', prefixes: ['sk-ant-', 'sk-proj-'], of: url, atLeast: 20, alone: true },
]

const byPrefix = new Map(forms.flatMap(form => form.prefixes.map(prefix => [prefix, form] as const)))
/** Literals only: without a quantifier there is nothing to backtrack into. */
const trigger = new RegExp([...byPrefix.keys()].map(prefix => prefix.replaceAll('.', '\\.')).join('|'), 'g')
const anyTrigger = new RegExp(trigger.source)
const azureTail = alphabet(/[A-Za-z0-9_~.-]/)

export const prefixedTokens: Detector = {
  kinds: [...new Set(forms.map(form => form.kind))],
  all: 0,
  any: underscore | dash | upper | slash | dot,
  shortest: 15,
  mayHold: text => anyTrigger.test(text),
  find(text, found) {
    const search = trigger
    search.lastIndex = 0
    for (let match = search.exec(text); match !== null; match = search.exec(text)) {
      const form = byPrefix.get(match[0])!
      const body = match.index + match[0].length
      if (form.alone === true && isAlphanumericAt(text, match.index - 1)) continue
      // A failure costs at most `atLeast` steps; a success consumes what it read.
      const limit = form.exact === true ? body + form.atLeast : text.length
      const end = endOfRun(text, body, { of: form.of, limit })
      if (end - body < form.atLeast) continue
      if (form.exact === true && isAlphanumericAt(text, end)) continue
      found(match.index, end, form.kind)
      search.lastIndex = end
    }
  },
}

/** Azure AD client secrets: three characters, a digit, `Q~`, then 31 to 34 more. */
export const azureClientSecret: Detector = {
  kinds: ['azure-client-secret'],
  all: tilde | digit,
  any: 0,
  shortest: 37,
  mayHold: text => text.includes('Q~'),
  find(text, found: Found) {
    for (let index = text.indexOf('Q~'); index >= 0; index = text.indexOf('Q~', index + 2)) {
      const start = index - 4
      if (start < 0 || !/^[\w~.-]{3}\d$/.test(text.slice(start, index))) continue
      const end = endOfRun(text, index + 2, { of: azureTail, limit: index + 36 })
      if (end - index - 2 >= 31) found(start, end, 'azure-client-secret')
    }
  },
}
