import type { Risk } from '../../../model/action.ts'

/** What is known of a server's tools. The gravest match counts for risk; tags and masks of all matches add up. */
export interface Pack {
  readonly name: string
  readonly tools: readonly PackedTool[]
}

export interface PackedTool {
  /** The server's name for the tool; `*` for any text. */
  readonly match: string
  readonly risk: Risk
  /** Words that conditions find in `request.tags`, such as `approval` for what a person should see first. */
  readonly tags?: readonly string[]
  /** Mask profiles that its results always get. */
  readonly mask?: readonly string[]
}
