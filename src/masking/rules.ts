/** Profiles compiled: what to look for, and what to put in its place. */
import { RE2JS } from 're2js'
import type { MaskingConfig, MaskProfile } from '../config/masking.ts'
import { type BuiltinProfile, builtinProfiles } from './builtin-profiles.ts'
import type { Detector } from './detectors/detector.ts'
import { detectorGroups, detectorsFor } from './detectors/index.ts'
import { isSecretName } from './detectors/secret-names.ts'
import { type Glob, compileGlobs } from './globs.ts'
import { type Path, parsePath } from './paths.ts'
import { remembering } from './remembering.ts'
import { type Way, ways } from './ways.ts'

export interface Pattern {
  readonly name: string
  readonly regex: RE2JS
}

/** What the name of a field says of its value. */
export interface FieldFacts {
  /** The value is masked whole. */
  readonly selected: boolean
  /** As `selected`, where the value is 32 or 40 hexadecimal digits. */
  readonly hex: boolean
  /** The name speaks of a secret, and the detector for named secrets is on. */
  readonly secret: boolean
}

export interface Rules {
  readonly detectors: readonly Detector[]
  /** The kinds that are on. */
  readonly kinds: ReadonlySet<string>
  readonly paths: readonly Path[]
  readonly patterns: readonly Pattern[]
  readonly binary: 'refuse' | 'pass'
  /** True where there is nothing to look for. */
  readonly empty: boolean
  readonly hashKey: string | undefined
  /** True where any `keys` are given. */
  readonly namesFields: boolean
  /** Of a JSON key or form field, as a byte string. */
  field(name: string): FieldFacts
  header(name: string): boolean
  parameter(name: string): boolean
  wayOf(kind: string): Way
}

/** The kind of what keys, paths, headers and parameters select. */
export const fieldKind = 'field'

type Profile = MaskProfile & { readonly hexKeys?: readonly string[] }

/** Every name must be known; the caller has checked. */
export function compileRules(
  names: readonly string[],
  config: MaskingConfig,
  hashKey: string | undefined,
): Rules {
  const profiles = names.map(name => profileOf(name, config))
  const wayByKind = new Map<string, Way>()
  for (const profile of profiles) {
    for (const kind of kindsOf(profile)) {
      const own = profile.overrides[kind] ?? profile.way
      if (own === 'off') continue
      const before = wayByKind.get(kind)
      const stricter = before === undefined || ways.indexOf(own) < ways.indexOf(before)
      if (stricter) wayByKind.set(kind, own)
    }
  }
  const kinds = new Set(wayByKind.keys())
  if (hashKey === undefined && [...wayByKind.values()].includes('hash'))
    throw new TypeError('a mask profile uses the way `hash` and there is no key for it')
  const of = (pick: (profile: Profile) => readonly string[] | undefined): Glob =>
    compileGlobs(
      profiles.filter(each => each.overrides[fieldKind] !== 'off').flatMap(each => pick(each) ?? []),
    )
  const keys = of(profile => profile.keys)
  const hexKeys = of(profile => profile.hexKeys)
  const headers = of(profile => profile.headers)
  const parameters = of(profile => profile.parameters)
  const named = kinds.has('secret')
  return {
    detectors: detectorsFor(kinds, config.phone_region),
    kinds,
    paths: profiles.flatMap(profile => profile.paths.map(path => parsePath(path)!)),
    patterns: profiles
      .flatMap(profile => profile.patterns)
      .filter(each => kinds.has(each.name))
      .map(each => ({ name: each.name, regex: RE2JS.compile(each.regex) })),
    binary: profiles.some(profile => profile.binary === 'refuse') ? 'refuse' : 'pass',
    empty: kinds.size === 0,
    hashKey,
    namesFields: !keys.empty,
    field: remembering(name => ({
      selected: keys.matches(name),
      hex: hexKeys.matches(name),
      secret: named && isSecretName(name),
    })),
    header: name => headers.matches(name),
    parameter: name => parameters.matches(name) || keys.matches(name),
    wayOf: kind => wayByKind.get(kind) ?? 'redact',
  }
}

function profileOf(name: string, config: MaskingConfig): Profile {
  const own = config.profiles[name]
  if (own !== undefined) return own
  const builtin: BuiltinProfile = builtinProfiles[name]!
  return {
    detectors: [...builtin.detectors],
    keys: [...builtin.keys],
    hexKeys: builtin.hexKeys,
    paths: [],
    headers: [...builtin.headers],
    parameters: [...builtin.parameters],
    patterns: [],
    way: 'redact',
    overrides: {},
    binary: 'refuse',
  }
}

function kindsOf(profile: Profile): readonly string[] {
  const kinds = profile.detectors.flatMap(name =>
    name === 'secrets' || name === 'personal' ? [...detectorGroups[name]] : [name],
  )
  const fields = [profile.keys, profile.paths, profile.headers, profile.parameters, profile.hexKeys ?? []]
  if (fields.some(list => list.length > 0)) kinds.push(fieldKind)
  return [...kinds, ...profile.patterns.map(pattern => pattern.name)]
}
