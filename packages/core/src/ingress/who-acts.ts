import type { StatedIdentity } from '../context/state.js'
import { KestError } from '../errors.js'
import type { IdentityContext } from '../passport/verified.js'
import { sameName } from '../pseudonyms/pseudonym.js'
import { IDENTITY_PARTS as PARTS } from '../trust/identity-authorities.js'

/** User, agent and task as unsigned baggage has them: for peers, and only ever compared. */
export interface BaggageIdentity {
  readonly user?: string
  readonly agent?: string
  readonly task?: string
}

/** What is known about who acts, by source. */
export interface IdentitySources {
  /** Out of verified lineage, as far as it counts. */
  readonly lineage: StatedIdentity | null
  /** As the labels of its tips say, whether or not they count; default: as `lineage`. */
  readonly claimed?: IdentityContext | null
  /** Out of a token that was validated here, by the names that are signed (K-PSEUDONYM). */
  readonly token: IdentityContext | null
  readonly baggage: BaggageIdentity
  /** Whether the token may name somebody else than the lineage does. */
  readonly switchIdentity: boolean
}

/**
 * Who acts, out of the three places that may say so (K-IDENT, F-IC-05).
 *
 * Lineage and token *disagree* when both state the same part (user, agent, or task) and not the same text. Parts that
 * only one of them states are no disagreement. Where they agree the result has the parts of both, and this workload
 * vouches for it (`by: null`) because it validated the token; a token that states no part changes nothing. Where
 * they disagree the request is refused, or with `switchIdentity` the token's identity alone is the result: parts of
 * two identities are never mixed.
 *
 * A part in baggage must be the text that the lineage claims, whether or not that counts: baggage tells no more than what is
 * signed. Where the lineage does not claim it, the token outweighs baggage, and a part that neither states is refused. Empty
 * text states nothing.
 *
 * @throws {KestError} `ERR_KEST_IDENTITY_CONFLICT`
 */
export function whoActs({
  lineage,
  claimed = lineage?.context ?? null,
  token,
  baggage,
  switchIdentity,
}: IdentitySources): StatedIdentity | null {
  for (const part of PARTS) {
    const told = baggage[part] ?? ''
    if (told === '') continue
    const signed = claimed?.[part] ?? null
    if (signed === null ? (token?.[part] ?? null) === null : signed !== told) {
      throw new KestError(
        'ERR_KEST_IDENTITY_CONFLICT',
        `baggage names a ${part} that the lineage does not name`,
      )
    }
  }
  if (token === null || PARTS.every((part) => token[part] === null)) return lineage
  if (lineage === null) return { context: token, by: null }
  const disputed = PARTS.find((part) => isDisputed(token[part], lineage.context[part]))
  if (disputed === undefined) return { context: union(token, lineage.context), by: null }
  if (switchIdentity) return { context: token, by: null }
  throw new KestError(
    'ERR_KEST_IDENTITY_CONFLICT',
    `the token names another ${disputed} than the lineage does`,
  )
}

function isDisputed(a: string | null, b: string | null): boolean {
  return a !== null && b !== null && !sameName(a, b)
}

function union(a: IdentityContext, b: IdentityContext): IdentityContext {
  return Object.freeze({ user: a.user ?? b.user, agent: a.agent ?? b.agent, task: a.task ?? b.task })
}
