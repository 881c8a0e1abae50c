import { quote } from '../entry/quote.js'
import type { PolicyTier } from './engine.js'

/** Characters of a revision: it is signed into every entry. */
const MAX_LENGTH = 256
/** Texts that one decision may come from. */
const MAX_TEXTS = 8
const REVISION = /^([a-z0-9][a-z0-9-]*):([a-z0-9][a-z0-9-]*):(\P{C}+)$/u
const DIGEST = /^[0-9a-f]{64}$/
/** In the order of RFC 8785. */
const TIERS: readonly PolicyTier[] = ['application', 'enterprise', 'function', 'platform']

/** Which text of a policy decided (K-REVISION), taken apart: `<engine>:<scheme>:<value>`. */
export interface PolicyRevision {
  /** What decided, such as `rego-wasm`, `cedar` or `opa`. */
  readonly engine: string
  /** `sha256` of a digest; what else is there names a text, as its author chose. */
  readonly scheme: string
  readonly value: string
  /** Whether it can be computed from the text, so that no other text has it. Of a name nobody knows how many texts have had it. */
  readonly isDigest: boolean
}

/**
 * Takes a revision apart.
 *
 * @returns `undefined` for what is none: another form, more than 256 characters, or characters that cannot be seen
 *
 * @example
 * ```ts
 * parseRevision('opa:bundle:main@v12') // { engine: 'opa', scheme: 'bundle', value: 'main@v12', isDigest: false }
 * ```
 */
export function parseRevision(text: string): PolicyRevision | undefined {
  const parts = text.length > MAX_LENGTH ? null : REVISION.exec(text)
  if (parts === null) return undefined
  const [, engine, scheme, value] = parts as unknown as [string, string, string, string]
  const isDigest = scheme === 'sha256' && DIGEST.test(value)
  return scheme === 'sha256' && !isDigest ? undefined : { engine, scheme, value, isDigest }
}

/**
 * Reads the label `kest.revisions` of an entry: which texts decided, tier by tier.
 *
 * @returns `undefined` for what is no such label: whoever signs writes what it likes
 */
export function parseRevisionsLabel(label: string): ReadonlyMap<PolicyTier, readonly string[]> | undefined {
  let value: unknown
  try {
    value = JSON.parse(label)
  } catch {
    return undefined
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined
  const found = new Map<PolicyTier, readonly string[]>()
  for (const [tier, said] of Object.entries(value)) {
    const revisions = Array.isArray(said) ? revisionsOf(said) : undefined
    if (!TIERS.includes(tier as PolicyTier) || revisions === undefined) return undefined
    found.set(tier as PolicyTier, revisions)
  }
  return found.size === 0 ? undefined : found
}

/**
 * What an engine said of the texts that decided: one, or several.
 *
 * @returns without repeats, sorted; `undefined` where it says nothing that can be used, of which a part is all
 */
export function revisionsOf(said: unknown): readonly string[] | undefined {
  if (typeof said === 'string') return isRevision(said) ? [said] : undefined
  if (!Array.isArray(said) || said.length === 0 || said.length > MAX_TEXTS) return undefined
  const list = [...(said as readonly unknown[])]
  return list.every((one) => typeof one === 'string' && isRevision(one))
    ? [...new Set(list as string[])].sort()
    : undefined
}

/** Mostly the same comes again, and comparing takes less than matching. */
let lastRevision: string | undefined

function isRevision(text: string): boolean {
  if (text === lastRevision) return true
  if (parseRevision(text) === undefined) return false
  lastRevision = text
  return true
}

/** The texts by which the questions of one operation were decided, tier by tier. */
export class AskedRevisions {
  /** `null` of a tier of which an engine could not say. */
  readonly #tiers = new Map<PolicyTier, Set<string> | null>()

  /** @param said of one decision of that tier, as its engine says it */
  add(tier: PolicyTier, said: unknown): void {
    const known = this.#tiers.get(tier)
    if (known === null) return
    const revisions = revisionsOf(said)
    if (revisions === undefined) this.#tiers.set(tier, null)
    else if (known === undefined) this.#tiers.set(tier, new Set(revisions))
    else for (const one of revisions) known.add(one)
  }

  /** The label `kest.revisions`: the JCS of tier → sorted list. A tier of which not all is known is left out; `undefined` without any. */
  text(): string | undefined {
    let text = ''
    for (const tier of TIERS) {
      const known = this.#tiers.get(tier)
      if (known === undefined || known === null || known.size > MAX_TEXTS) continue
      text += `${text === '' ? '{' : ','}"${tier}":[${[...known].sort().map(quote).join(',')}]`
    }
    return text === '' ? undefined : `${text}}`
  }
}
