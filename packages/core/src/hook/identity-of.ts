import type { KestState } from '../context/state.js'
import { KestError } from '../errors.js'
import type { MaybePromise } from '../maybe-promise.js'
import type { IdentityContext } from '../passport/verified.js'
import { Names } from '../pseudonyms/names.js'
import type { Pseudonymizer } from '../pseudonyms/pseudonymizer.js'
import { IDENTITY_PARTS, type IdentityPart } from '../trust/identity-authorities.js'
import { looksLikePseudonym, UNPROVEN_ORIGIN } from '../trust/reserved.js'
import type { OperationValues } from './operation-options.js'

/** Who acts in an operation. */
export interface ActingIdentity {
  /** As it is signed. */
  readonly identity: IdentityContext | null
  /** Whether the call, or a token, has stated every part of it (K-SWITCH). */
  readonly identityStated: boolean
  /** Whom its pseudonyms stand for; `undefined` behind the edge (K-PSEUDONYM). */
  readonly names: Names | undefined
}

type Parts = Record<IdentityPart, string | null>

/**
 * Step 4: what the call states, over what is ambient; in a request without lineage only a token says who acts (K-OPTIONAL). With
 * pseudonyms, what it states is named alike (K-PSEUDONYM).
 *
 * @throws {KestError} `ERR_KEST_IDENTITY_CONFLICT` for a name that looks like a pseudonym, unless it is the ambient one, and for one
 *   that would be signed in clear instead of a pseudonym; and what
 *   {@link Pseudonymizer.nameAll} rejects with
 */
export function identityOf(
  values: Pick<OperationValues, IdentityPart>,
  state: KestState | null,
  pseudonyms: Pseudonymizer | null,
  signal: AbortSignal | null,
): MaybePromise<ActingIdentity> {
  const ambient = state?.identity?.context ?? null
  const ambientStated = ambient === null || state?.identityStated === true
  const names = pseudonyms === null ? undefined : state === null ? Names.NONE : state.names
  const isStated = IDENTITY_PARTS.some((part) => values[part] !== undefined)
  if (!isStated || state?.origin === UNPROVEN_ORIGIN)
    return { identity: ambient, identityStated: ambientStated, names }

  const known: Parts = { user: null, agent: null, task: null }
  const own: Parts = { user: null, agent: null, task: null }
  for (const part of IDENTITY_PARTS) {
    const name = values[part]
    const before = ambient?.[part] ?? null
    if (name === undefined) continue
    // What the accessors answer may be stated again.
    if (before !== null && (name === before || name === names?.clear(before))) known[part] = before
    else if (looksLikePseudonym(name)) throw pretending(part)
    else own[part] = name
  }
  const made = (named: IdentityContext, all: Names | undefined): ActingIdentity => {
    const stated = (part: IdentityPart): string | null => known[part] ?? named[part]
    const identity = {
      user: stated('user') ?? ambient?.user ?? null,
      agent: stated('agent') ?? ambient?.agent ?? null,
      task: stated('task') ?? ambient?.task ?? null,
    }
    const isWhole = IDENTITY_PARTS.every((part) => stated(part) === identity[part])
    return { identity, identityStated: ambientStated || isWhole, names: all }
  }
  const replaced = IDENTITY_PARTS.find(
    (part) => own[part] !== null && looksLikePseudonym(ambient?.[part] ?? ''),
  )
  if (pseudonyms === null && replaced !== undefined) throw unnamed(replaced)
  if (pseudonyms === null || IDENTITY_PARTS.every((part) => own[part] === null)) return made(own, names)
  const space = { issuer: null, tenant: names?.tenant() ?? null }
  return pseudonyms
    .nameAll(own, space, { lineage: ambient, signal })
    .then((named) => made(named.identity, names?.with(named.names)))
}

function pretending(part: IdentityPart): KestError {
  return new KestError(
    'ERR_KEST_IDENTITY_CONFLICT',
    `${part}: names that begin as pseudonyms do are refused (K-PSEUDONYM)`,
  )
}

function unnamed(part: IdentityPart): KestError {
  return new KestError(
    'ERR_KEST_IDENTITY_CONFLICT',
    `the lineage names its ${part} by a pseudonym, and there is no key here to name another by: createKest({ subject })`,
  )
}
