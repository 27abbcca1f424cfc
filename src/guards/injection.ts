/**
 * Finds text in what an upstream returned that is addressed to the model that will read it rather than to its user:
 * commands to set instructions aside, characters nobody sees, marks of a conversation's roles. It catches the common
 * forms and claims no more; a mark in the log and a person's eyes are what it is for. Every pattern is linear in the
 * text: repeats are bounded and nothing is nested.
 */

interface Sign {
  readonly kind: string
  readonly pattern: RegExp
}

const signs: readonly Sign[] = [
  {
    // Tag characters and long runs of zero-width ones carry text past a reader's eyes; overrides reorder it.
    kind: 'hidden-characters',
    pattern: /[\u{E0020}-\u{E007E}]|(?:\u200B|\u200C|\u200D|\u2060|\uFEFF){6}|[\u202D\u202E]/u,
  },
  {
    kind: 'instruction-override',
    pattern:
      /\b(?:ignore|disregard|forget|override)\s{1,9}(?:all\s{1,9}|any\s{1,9})?(?:of\s{1,9})?(?:the\s{1,9}|your\s{1,9}|these\s{1,9}|my\s{1,9})?(?:previous|prior|above|earlier|preceding|system|existing)\s{1,9}(?:instructions?|prompts?|rules?|messages?|directions?|guidelines?|context)/i,
  },
  {
    kind: 'role-marker',
    pattern:
      /<\|(?:im_start|im_end|system|assistant|endoftext)\|>|\[\/?INST\]|<\/?(?:system|assistant)(?:[-_](?:prompt|message|reminder))?>|<IMPORTANT>/i,
  },
  {
    kind: 'concealment',
    pattern:
      /\b(?:do\s{1,9}not|don['’]t|never|without)\s{1,9}(?:tell|telling|mention|mentioning|inform|informing|notify|notifying|reveal|revealing|show|showing|alert|alerting)\s{1,9}(?:this\s{1,9}|it\s{1,9}|that\s{1,9}|anything\s{1,9})?(?:to\s{1,9})?(?:the\s{1,9}|your\s{1,9}|any\s{1,9})?(?:user|human|person|operator)/i,
  },
  {
    kind: 'tool-steering',
    pattern:
      /\b(?:you\s{1,9}must|always|immediately|first|now)\s{1,9}(?:call|use|invoke|run|execute)\s{1,9}(?:the\s{1,9})?[`'"]?[A-Za-z0-9_.-]{1,64}[`'"]?\s{1,9}(?:tool|function)\b/i,
  },
  // A picture whose address carries data out when it is drawn.
  {
    kind: 'exfiltration',
    pattern: /!\[[^\]\n]{0,200}\]\(https?:\/\/[^\s)]{1,500}[?&][^\s)=]{1,100}=[^\s)]{16}/,
  },
]

/** Looked at this far. */
const longest = 1024 * 1024

/** The kinds of signs in a text, in a fixed order; empty: none. */
export function findInjection(text: string): string[] {
  const looked = text.length > longest ? text.slice(0, longest) : text
  return signs.filter(({ pattern }) => pattern.test(looked)).map(({ kind }) => kind)
}
