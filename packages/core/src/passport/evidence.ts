import type { JsonWebKey } from 'node:crypto'
import { types } from 'node:util'
import { assertOptions } from '../assert-options.js'
import { type ParsedDenial, parseDenial } from '../denial/parse.js'
import { type VerifiedDenial, verifyDenial } from '../denial/verify.js'
import { countMembers, countParsedMembers } from '../entry/json-members.js'
import { KestConfigError, KestError, PassportVerificationError } from '../errors.js'
import type { KeySource } from '../identity/key-source.js'
import { createKeySource } from '../identity/keys.js'
import { type Limits, resolveLimits } from '../limits.js'
import {
  bothRootLists,
  type CheckedRootRule,
  createRootList,
  parseRootRules,
  type RootRule,
  toRootList,
} from '../trust/root-list.js'
import { type Passport, parsePassport } from './passport.js'
import { areStatedTips } from './stated-tips.js'
import type { VerifiedPassport } from './verified-passport.js'
import { verifyPassport } from './verify.js'
import type { VerifyOptions } from './verify-options.js'

/** Value of `format`. */
export const EVIDENCE_FORMAT = 'kest-evidence-1'

const RFC3339 =
  /^(\d{4}-\d\d-\d\d)T(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d{1,9})?(?:Z|[+-](?:[01]\d|2[0-3]):[0-5]\d)$/
/** Of a file's members, at every depth; nothing that means something nests so deep. */
const MAX_NESTING = 64

/** Trust material as an evidence file holds it: plain keys per principal, SPIFFE bundles per trust domain. */
export interface TrustDocument {
  readonly keys?: Readonly<Record<string, readonly JsonWebKey[]>>
  /** SPIFFE bundle format; read by whoever makes a key source of it (`@kest/spiffe`). */
  readonly bundles?: Readonly<Record<string, unknown>>
}

/** What an auditor files away and anyone can check later, offline (SPEC §9.1). */
export interface Evidence {
  readonly passport: Passport
  /** What was refused beside it (K-DENIAL): in no passport, and nobody's parent. */
  readonly denials: readonly ParsedDenial[]
  readonly trust: TrustDocument
  /** When certificates must have been valid: each at its entry's own time, or at one, milliseconds since the epoch. */
  readonly at: 'entry' | number
  /** Hashes that must be the tips; `null` when the file names none. */
  readonly tip: readonly string[] | null
  readonly semantics: 'report' | 'enforce'
  /** Who may have begun its lineage, as the file says (K-ROOTS); `null` when it does not. */
  readonly roots: readonly CheckedRootRule[] | null
}

/** Makes a source of X.509 trust of bundles, by trust domain. */
export type X509Factory = (bundles: Readonly<Record<string, unknown>>) => KeySource

/** How evidence is verified. Options only tighten what the file asks for: of two lists of roots, both must grant. */
export interface VerifyEvidenceOptions
  extends Pick<
    VerifyOptions,
    'raisers' | 'ceilings' | 'roots' | 'identityAuthorities' | 'tip' | 'threads' | 'signal' | 'limits'
  > {
  /**
   * Trust material of one's own, in place of that in the file (K-ANCHOR). Without it the file is only shown to be
   * consistent with the keys that its author put there.
   */
  readonly trust?: TrustDocument | readonly KeySource[]
  /** A time at which all certificates must have been valid. Must not contradict the file's. */
  readonly at?: 'entry' | number | Date
  /** `enforce` wins, whoever asks for it. */
  readonly semantics?: 'report' | 'enforce'
  /** Without it, entries that carry certificates fail with `ERR_KEST_CERTIFICATE_UNSUPPORTED`. */
  readonly x509?: X509Factory
}

/** What verifying evidence established. */
export interface VerifiedEvidence {
  readonly passport: VerifiedPassport
  /** Each was signed by the principal that it names. */
  readonly denials: readonly VerifiedDenial[]
  /** Whether against trust of the verifier's own: `false` means consistent with its own keys, no more (K-ANCHOR). */
  readonly anchored: boolean
}

/**
 * Reads an evidence file. Members that are not of the format are ignored; a text that has a member twice is refused.
 *
 * @param untrusted its text, or what JSON made of it
 * @throws {KestError} `ERR_KEST_EVIDENCE`, naming the member; for its `passport`, `PassportVerificationError` as
 *   {@link parsePassport}
 */
export function parseEvidence(
  untrusted: unknown,
  options: { readonly limits?: Partial<Limits> } = {},
): Evidence {
  assertOptions('parseEvidence', options, ['limits'])
  const file = typeof untrusted === 'string' ? parseJson(untrusted) : untrusted
  if (!isObject(file)) throw wrong('expected an object')
  if (file['format'] !== EVIDENCE_FORMAT) throw wrong(`format: expected "${EVIDENCE_FORMAT}"`)
  if (file['passport'] === undefined || typeof file['passport'] === 'string')
    throw wrong('passport: expected an array')
  return Object.freeze({
    passport: parsePassport(file['passport'], options),
    denials: denialsIn(file['denials'], resolveLimits(options.limits)),
    trust: trustIn(file['trust']),
    at: parseTime(file['at']),
    tip: parseTip(file['tip']),
    semantics: parseSemantics(file['semantics']),
    roots: file['roots'] === undefined ? null : rootsIn(file['roots']),
  })
}

/** As many as a passport may have entries. */
function denialsIn(denials: unknown, limits: Limits): readonly ParsedDenial[] {
  if (denials === undefined) return Object.freeze([])
  if (!Array.isArray(denials)) throw wrong('denials: expected an array')
  if (denials.length > limits.entries)
    throw new KestError(
      'ERR_KEST_LIMIT',
      `evidence: ${denials.length} denials; at most ${limits.entries} are read`,
    )
  const parsed = denials.map((jws, index) => atDenial(index, () => parseDenial(jws, limits)))
  const hashes = new Set(parsed.map(({ hash }) => hash))
  if (hashes.size < parsed.length) throw wrong('denials: one is there twice')
  return Object.freeze(parsed)
}

function atDenial<T>(index: number, read: () => T): T {
  try {
    return read()
  } catch (error) {
    throw namedDenial(index, error)
  }
}

function namedDenial(index: number, error: unknown): unknown {
  if (!(error instanceof KestError)) return error
  return new KestError(error.code, `evidence: denials: ${index}: ${error.message}`, { cause: error.cause })
}

/**
 * Reads trust material: what evidence has as `trust`, or a file of its own. Keys and bundles themselves are read by
 * {@link keySourcesOf}.
 *
 * @param untrusted its text, or what JSON made of it
 * @throws {KestError} `ERR_KEST_EVIDENCE`
 */
export function parseTrustDocument(untrusted: unknown): TrustDocument {
  return trustIn(typeof untrusted === 'string' ? parseJson(untrusted) : untrusted)
}

function trustIn(trust: unknown): TrustDocument {
  if (!isObject(trust)) throw wrong('trust: expected an object')
  const { keys, bundles } = trust
  if (keys !== undefined && !isObject(keys)) throw wrong('trust.keys: expected principals with their keys')
  if (bundles !== undefined && !isObject(bundles))
    throw wrong('trust.bundles: expected trust domains with their bundle')
  return Object.freeze({
    ...(keys === undefined ? {} : { keys: keys as NonNullable<TrustDocument['keys']> }),
    ...(bundles === undefined ? {} : { bundles }),
  })
}

/**
 * Checks evidence, offline (SPEC §9.1): its passport, and denials that are beside it.
 *
 * Does *not* say that its keys are the right ones unless `trust` is given: look at `anchored`.
 *
 * @throws {KestError} `ERR_KEST_EVIDENCE` for keys in it that cannot be used, `ERR_KEST_CONFIG` for wrong options;
 *   otherwise as {@link verifyPassport}
 */
export async function verifyEvidence(
  evidence: Evidence,
  options: VerifyEvidenceOptions = {},
): Promise<VerifiedEvidence> {
  const { trust, at, semantics, tip, x509, roots, ...others } = options
  const given = {
    ...(x509 === undefined ? {} : { x509 }),
    ...(others.limits === undefined ? {} : { limits: others.limits }),
  }
  const own = trust === undefined ? evidence.trust : trust
  const sources = isSources(own) ? own : keySourcesOf(own, given)
  const time = strictTime(evidence.at, at)
  const passport = await verifyPassport(evidence.passport, {
    ...others,
    trust: sources,
    at: time,
    semantics: evidence.semantics === 'enforce' ? 'enforce' : (semantics ?? 'report'),
    ...strictTip(evidence.tip, tip),
    ...strictRoots(evidence.roots, roots),
  })
  const denials: VerifiedDenial[] = []
  for (const [index, denial] of evidence.denials.entries()) {
    const signed = verifyDenial(denial, sources, time === 'entry' ? undefined : time)
    denials.push(
      await signed.catch((error: unknown) => {
        throw namedDenial(index, error)
      }),
    )
  }
  return Object.freeze({ passport, denials: Object.freeze(denials), anchored: trust !== undefined })
}

/**
 * Writes evidence: the object to hand to `JSON.stringify`.
 *
 * @param facts.trust what the passport was verified against
 */
export function createEvidence(facts: {
  readonly passport: Passport
  /** Signed denials to go beside it, as compact strings (K-DENIAL). */
  readonly denials?: readonly string[]
  readonly trust: TrustDocument
  readonly at?: 'entry' | number | Date
  readonly tip?: readonly string[]
  readonly semantics?: 'report' | 'enforce'
  readonly roots?: readonly RootRule[]
}): Record<string, unknown> {
  assertOptions('createEvidence', facts, ['passport', 'denials', 'trust', 'at', 'tip', 'semantics', 'roots'])
  const { passport, denials = [], trust, at = 'entry', tip, semantics, roots } = facts
  const evidence = {
    format: EVIDENCE_FORMAT,
    passport: passport.toJSON(),
    ...(denials.length === 0 ? {} : { denials }),
    trust,
    at: at === 'entry' ? at : new Date(at).toISOString(),
    ...(tip === undefined ? {} : { tip: tip.join(',') }),
    ...(semantics === undefined ? {} : { semantics }),
    ...(roots === undefined ? {} : { roots }),
  }
  parseEvidence(evidence)
  return evidence
}

/**
 * Key sources of a trust document: one of its keys, and one of its bundles when there is who can read them.
 *
 * @throws {KestError} `ERR_KEST_EVIDENCE` for keys that are private, malformed or of another kind
 */
export function keySourcesOf(
  trust: TrustDocument,
  options: { readonly x509?: X509Factory; readonly limits?: Partial<Limits> } = {},
): readonly KeySource[] {
  assertOptions('keySourcesOf', options, ['x509', 'limits'])
  const { keys, bundles } = trustIn(trust)
  const { limits, x509 } = options
  const sources: KeySource[] = []
  try {
    if (keys !== undefined) sources.push(createKeySource(keys, limits === undefined ? {} : { limits }))
    if (bundles !== undefined && x509 !== undefined) sources.push(x509(bundles))
  } catch (cause) {
    if (!(cause instanceof KestError)) throw cause
    throw new KestError('ERR_KEST_EVIDENCE', `evidence: trust: ${cause.message}`, { cause })
  }
  return sources
}

function isSources(trust: TrustDocument | readonly KeySource[]): trust is readonly KeySource[] {
  return Array.isArray(trust)
}

/** A fixed time is stricter than the entries' own; of two fixed ones neither is. */
function strictTime(file: 'entry' | number, option: VerifyEvidenceOptions['at']): 'entry' | number {
  if (option === undefined || option === 'entry') return file
  const time = types.isDate(option) ? option.getTime() : option
  if (file === 'entry' || file === time) return time
  throw new KestConfigError(`at: the evidence fixes ${new Date(file).toISOString()}`)
}

/** Both name all tips, so they must name the same. */
function strictTip(file: readonly string[] | null, option: VerifyOptions['tip']): Pick<VerifyOptions, 'tip'> {
  if (option === undefined) return file === null ? {} : { tip: file }
  const tips = typeof option === 'string' ? option.split(',') : option
  if (file !== null && !areStatedTips([...new Set(file)], tips)) {
    throw new PassportVerificationError('ERR_KEST_TIP', 'evidence: its tips are not those that were expected')
  }
  return { tip: [...new Set(tips)] }
}

/** Whoever is missing in either began nothing. */
function strictRoots(file: Evidence['roots'], option: VerifyOptions['roots']): Pick<VerifyOptions, 'roots'> {
  const own = option === undefined ? null : toRootList(option)
  if (file === null) return own === null ? {} : { roots: own }
  const stated = createRootList(file)
  return { roots: own === null ? stated : bothRootLists(own, stated) }
}

function rootsIn(roots: unknown): readonly CheckedRootRule[] {
  return parseRootRules(roots, 'roots', (path, why) => {
    throw wrong(`${path}: ${why}`)
  })
}

/** Of repeated members one would count and another be read: by people, or by other programs. */
function parseJson(text: string): unknown {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (cause) {
    throw wrong('not JSON', cause)
  }
  const members = countParsedMembers(value, MAX_NESTING)
  if (members === undefined) throw wrong(`nested deeper than ${MAX_NESTING}`)
  if (members !== countMembers(text)) throw wrong('it has a member twice')
  return value
}

function parseTime(at: unknown): 'entry' | number {
  if (at === undefined || at === 'entry') return 'entry'
  const day = typeof at === 'string' ? RFC3339.exec(at)?.[1] : undefined
  if (day === undefined || !isDay(day)) throw wrong('at: expected "entry" or an RFC 3339 time')
  return Date.parse(at as string)
}

/** Whether the month has that day: `Date.parse` takes February 30 for a day of March. */
function isDay(day: string): boolean {
  const time = Date.parse(`${day}T00:00:00Z`)
  return !Number.isNaN(time) && new Date(time).toISOString().startsWith(day)
}

function parseTip(tip: unknown): readonly string[] | null {
  if (tip === undefined) return null
  if (typeof tip !== 'string' || !/^[0-9a-f]{64}(?:,[0-9a-f]{64})*$/.test(tip))
    throw wrong('tip: expected entry hashes')
  return Object.freeze(tip.split(','))
}

function parseSemantics(semantics: unknown): 'report' | 'enforce' {
  if (semantics === undefined || semantics === 'report') return 'report'
  if (semantics === 'enforce') return 'enforce'
  throw wrong('semantics: expected "report" or "enforce"')
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function wrong(why: string, cause?: unknown): KestError {
  return new KestError('ERR_KEST_EVIDENCE', `evidence: ${why}`, cause === undefined ? {} : { cause })
}
