import type { EventKind } from '../../../audit/events.ts'
import type { DatadogSetupConfig } from '../../../config/datadog-setup.ts'

export type Json = Record<string, unknown>

export type ResourceKind =
  | 'pipeline'
  | 'index'
  | 'archive'
  | 'log-metric'
  | 'dashboard'
  | 'monitor'
  | 'security-rule'

/** One resource as it shall be at Datadog: the body of its creation. */
export interface Definition {
  readonly kind: ResourceKind
  /** Stable among its kind and in words for people: `heartbeat-missing`. What is found under it is ours. */
  readonly id: string
  readonly body: Json
}

/** Something that is not installed, or that no API makes, and why. */
export interface LeftOut {
  readonly what: string
  readonly why: string
}

export interface SetupOptions {
  readonly setup: DatadogSetupConfig
  /** Whether the sink ships entries of this kind: what is not shipped can't be watched. */
  readonly ships: (kind: EventKind) => boolean
}

/** On everything of ours that takes tags, beside the tag that names it. */
export const ownTag = 'managed-by:sallyport'

/** Finds one resource again when its title has changed. */
export function idTag(id: string): string {
  return `sallyport_id:${id}`
}

/** In the text of what takes no tags of this kind. */
export const ownMark = 'Made by `sallyport datadog install`; changes here are undone by its next run.'
