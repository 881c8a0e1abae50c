import {
  EntriesVerifier,
  KestConfigError,
  type KeySource,
  type Limits,
  type RootList,
  type RootRule,
  resolveLimits,
  SignatureCache,
  toRootList,
  type VerifyEntriesOptions,
  type VerifyOptions,
} from '@kest/core'
import type { PolicyReplay } from '../replay/policy-replay.js'

/** What the entries of one trace may take, of the memory for spans; and at least. */
const TRACE_FACTOR = 8
const MIN_TRACE_BYTES = 16_777_216

/** Bytes of one trace's entries that are judged, where spans may take so much memory. */
export function traceBytesOf(memory: number): number {
  return Math.max(MIN_TRACE_BYTES, TRACE_FACTOR * memory)
}

type Trust = KeySource | readonly KeySource[]
type Roots = RootList | readonly RootRule[]

/** How traces are judged. */
export interface JudgeOptions extends Pick<VerifyOptions, 'raisers' | 'ceilings' | 'identityAuthorities'> {
  /**
   * Whose keys count (K-ANCHOR): nothing in an export is believed about them. A function is asked at once, and again before each
   * judgement: what it answers counts for all of that one, and nothing that was learned under another answer does. What it throws, the
   * judgement throws.
   */
  readonly trust: Trust | (() => Trust)
  /**
   * Who may begin lineage, as `verifyPassport` has it (K-ROOTS). A function is asked with `trust`, and has a list
   * each time. Default: whoever has a key.
   */
  readonly roots?: Roots | (() => Roots)
  /** Bounds on one entry and one passport (K-LIMIT). */
  readonly limits?: Partial<Limits>
  /** When certificates must have been valid: each at its entry's own time (default), or all at one. */
  readonly at?: VerifyOptions['at']
  /**
   * How much later than an entry states its span may be received, milliseconds. Later ones are a finding `time`: who has
   * an old key can state an old time. Default 3,600,000.
   */
  readonly maxDelayMs?: number
  /** The present, for entries that no witness received; milliseconds since the epoch. Default: that of the audit. */
  readonly now?: number
  /**
   * Principals that share a process, each group by itself: operations of one process with identities of their own, of a release that
   * numbered them together. Default: none, and numbers of one process by several principals are an error (K-AUDIT).
   */
  readonly shared?: readonly (readonly string[])[]
  /** Has policies decide again what they decided (K-REPLAY). Default: nothing is decided again. */
  readonly replay?: PolicyReplay
}

/** Their names. */
export const JUDGE_OPTIONS = [
  'trust',
  'limits',
  'at',
  'raisers',
  'ceilings',
  'roots',
  'identityAuthorities',
  'maxDelayMs',
  'now',
  'shared',
  'replay',
] as const satisfies readonly (keyof JudgeOptions)[]

/** {@link JudgeOptions}, checked and complete. */
export interface JudgeRules {
  readonly verify: VerifyEntriesOptions
  /** By those; it verifies nothing itself, and is what verifiers of each trace are made of. */
  readonly verifier: EntriesVerifier
  /** The same trust, for what is no entry (K-DENIAL). */
  readonly sources: readonly KeySource[]
  /** What is asked before each judgement; `null` when nothing is. */
  readonly inForce: {
    readonly trust: JudgeOptions['trust']
    readonly roots: JudgeOptions['roots'] | undefined
  } | null
  /** When certificates of what is no entry must have been valid; `null`: each at its own time. */
  readonly at: number | null
  readonly limits: Limits
  readonly maxDelayMs: number
  readonly now: number
  readonly shared: readonly (readonly string[])[]
  readonly replay: PolicyReplay | null
  /** Bytes of one trace's entries that are judged; beyond, it is judged in part. */
  readonly traceBytes: number
}

/** @throws {KestConfigError} for wrong options */
export function resolveJudgeOptions(options: JudgeOptions, traceBytes: number): JudgeRules {
  const { trust, limits, at, raisers, ceilings, roots, identityAuthorities } = options
  const { maxDelayMs = 3_600_000, now = Date.now(), shared = [], replay = null } = options
  if (replay !== null && typeof replay.findings !== 'function')
    throw new KestConfigError('audit: replay: expected a PolicyReplay')
  for (const [name, value] of Object.entries({ maxDelayMs, now })) {
    if (!Number.isSafeInteger(value) || value < 0)
      throw new KestConfigError(`audit: ${name}: expected milliseconds, got ${String(value)}`)
  }
  const inForce = typeof trust === 'function' || typeof roots === 'function' ? { trust, roots } : null
  const verify: VerifyEntriesOptions = {
    ...answersOf(trust, roots),
    threads: 'pool',
    ...(limits === undefined ? {} : { limits }),
    ...(at === undefined ? {} : { at }),
    ...(raisers === undefined ? {} : { raisers }),
    ...(ceilings === undefined ? {} : { ceilings }),
    ...(identityAuthorities === undefined ? {} : { identityAuthorities }),
  }
  return {
    ...verifying(verify),
    inForce,
    at: at === undefined || at === 'entry' ? null : Number(at),
    limits: resolveLimits(limits),
    maxDelayMs,
    now,
    shared: groupsOf(shared),
    replay,
    traceBytes,
  }
}

/**
 * The rules of one judgement, which has one trust from beginning to end: what would be verified under half of one and half of another is
 * verified under neither.
 */
export function rulesInForce(rules: JudgeRules): JudgeRules {
  const { inForce, verify } = rules
  if (inForce === null) return rules
  return { ...rules, ...verifying({ ...verify, ...answersOf(inForce.trust, inForce.roots) }) }
}

function answersOf(
  trust: JudgeOptions['trust'],
  roots: JudgeOptions['roots'] | undefined,
): Pick<VerifyEntriesOptions, 'trust' | 'roots'> {
  const list = typeof roots === 'function' ? listOf(roots()) : roots
  return {
    trust: typeof trust === 'function' ? trust() : trust,
    ...(list === undefined ? {} : { roots: toRootList(list) }),
  }
}

/** Nothing in its place would let everybody begin lineage. */
function listOf(answer: unknown): Roots {
  if (typeof answer === 'object' && answer !== null) return answer as Roots
  throw new KestConfigError(`audit: roots: expected a list, got ${answer === null ? 'null' : typeof answer}`)
}

function verifying(verify: VerifyEntriesOptions): Pick<JudgeRules, 'verify' | 'verifier' | 'sources'> {
  const { trust } = verify
  return {
    verify,
    verifier: new EntriesVerifier(verify),
    sources: Array.isArray(trust) ? trust : [trust as KeySource],
  }
}

/** For traces that have entries of each other: those are verified once. */
export function remembering(rules: JudgeRules): JudgeRules {
  return { ...rules, ...verifying({ ...rules.verify, cache: new SignatureCache() }) }
}

function groupsOf(shared: unknown): readonly (readonly string[])[] {
  const isNames = (names: unknown): names is string[] =>
    Array.isArray(names) && names.every((name) => typeof name === 'string')
  if (!Array.isArray(shared) || !shared.every(isNames))
    throw new KestConfigError('audit: shared: expected lists of principals')
  const names = shared.flat()
  if (new Set(names).size < names.length)
    throw new KestConfigError('audit: shared: a principal is named more than once')
  return shared.map((group) => [...group])
}
