/**
 * What Sallyport promises (DESIGN part 1), as data. A test that keeps a promise names it in its title (`P4: ...`);
 * `test/promises.test.ts` fails for a promise that no test names, and `docs/reference/promises.md` is generated from
 * this table and those titles.
 */
export const promises = {
  P1: {
    title: 'No record, no request',
    text: "The intent entry is durable before the first byte goes upstream. If it can't be written, the request is refused. No queue, timeout or option voids this silently.",
  },
  P2: {
    title: 'No silent end',
    text: 'Each intent gets exactly one terminal entry: completed, failed, denied, not_forwarded, or, after a crash, outcome_unknown, written at start-up before traffic is taken.',
  },
  P3: {
    title: 'Provable',
    text: 'The log is a Merkle tree in the public C2SP formats. Tools that we did not write verify it. Any change, deletion, reorder, truncation or fork is found by `sallyport verify` given an earlier checkpoint.',
  },
  P4: {
    title: 'The credential is never seen',
    text: 'No upstream credential reaches a client, a log, an entry, a recording, an error, an export or the API. Credentials that a client sends along are stripped.',
  },
  P5: {
    title: 'Approve what runs',
    text: 'An approval is bound to the exact canonical bytes of the action, its identity and the policy version; it is single-use, expires, and is never given by the requester. It survives a restart.',
  },
  P6: {
    title: 'Fail closed',
    text: 'A fault in identity, policy, masking, approval or recording refuses that one action with a clear error. It never lets the action through and never harms another action or session.',
  },
  P7: {
    title: 'Delivered',
    text: 'Every entry reaches each sink at least once, in order per log, with an id to deduplicate by. A sink that is down, slow, or rejecting one record delays nothing on the request path and loses nothing.',
  },
  P8: {
    title: 'Masked everywhere',
    text: "A masked value appears nowhere after the mask: response, recording, entry, export, console. Masking holds across chunk boundaries, encodings and escapes. Where a required mask can't be applied, the action is refused.",
  },
  P9: {
    title: 'Attributed',
    text: 'Every entry names the verified identity, and for an agent the person it acts for, from the token alone. Nothing a client asserts about itself is recorded as fact.',
  },
  P10: {
    title: 'The watchers are watched',
    text: 'Policy, connection and key changes, sign-ins, approvals, and each reading of a recording are entries in the same log.',
  },
  P11: {
    title: 'Native to the client',
    text: "A client that works against the upstream works through the gateway with only its address and credential changed. A denial arrives in the protocol's own form, says which rule, and leaves the connection usable.",
  },
  P12: {
    title: 'Bounded',
    text: 'Memory per request is bounded and back-pressure reaches from client to upstream and back; no body or stream is buffered whole unless a rule needs it, and then up to a stated limit. Patterns run in linear time.',
  },
} as const

export type PromiseId = keyof typeof promises
