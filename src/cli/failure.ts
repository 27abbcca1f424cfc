/** Exit codes that scripts can use. */
export const exit = {
  ok: 0,
  /** The gateway said no, or what was checked did not hold. */
  failed: 1,
  /** The command was used wrongly, or (for `verify`) nothing can be told. */
  usage: 2,
  /** No gateway answers there. */
  unreachable: 3,
  /** The gateway asks for a sign-in. */
  unauthenticated: 4,
} as const

/** Ends the command with a message for people and a code for scripts. */
export class Failure extends Error {
  override readonly name = 'Failure'
  readonly exitCode: number

  constructor(message: string, exitCode: number = exit.failed) {
    super(message)
    this.exitCode = exitCode
  }
}
