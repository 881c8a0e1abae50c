import { createHmac } from 'node:crypto'
import { canonicalize } from '../entry/canonicalize.js'
import { KestError } from '../errors.js'
import { inTime } from '../in-time.js'
import type { IdentityContext } from '../passport/verified.js'
import { claimOf } from '../tokens/claims.js'
import type { VerifiedToken } from '../tokens/token.js'
import { IDENTITY_PARTS, type IdentityPart } from '../trust/identity-authorities.js'
import { looksLikePseudonym } from '../trust/reserved.js'
import { askKeys, unavailable } from './ask-keys.js'
import { Names } from './names.js'
import { kidOf, pseudonymOf, sameName } from './pseudonym.js'
import type { PseudonymKey, PseudonymSubject } from './pseudonym-keys.js'
import { type ResolvedSubject, resolveSubject, type SubjectOptions } from './subject-options.js'

/** Whose names they are: those of an issuer's tenant. */
export type NameSpace = Pick<PseudonymSubject, 'issuer' | 'tenant'>

/** Who acts, as it is signed, and whom that stands for. */
export interface Named {
  readonly identity: IdentityContext
  readonly names: Names
}

/** What names are compared with, and until when somebody waits for them. */
export interface NamingOptions {
  /** Who acts by the lineage so far; `null`: nobody. */
  readonly lineage: IdentityContext | null
  readonly signal: AbortSignal | null
}

/** Gives those who act the names under which they are signed, exported and sent (K-PSEUDONYM). */
export class Pseudonymizer {
  readonly #options: ResolvedSubject

  /** @throws {KestConfigError} as {@link resolveSubject} */
  constructor(options: SubjectOptions) {
    this.#options = resolveSubject(options)
  }

  /**
   * Whom a token names. Where the lineage names the same one, by whichever of their keys, that name is kept.
   *
   * @throws {KestError} `ERR_KEST_TOKEN` when its tenant is no text; and what {@link nameAll} throws
   */
  nameToken({ identity, claims, issuer }: VerifiedToken, options: NamingOptions): Promise<Named> {
    const tenant = claimOf(claims, this.#options.tenant, 'tenant')
    return this.nameAll(identity, { issuer, tenant }, options)
  }

  /**
   * @throws {KestError} by rejecting: `ERR_KEST_IDENTITY_CONFLICT` for somebody without a key, also where it was destroyed by
   *   which the lineage names whom they are compared with; `ERR_KEST_KEYS_UNAVAILABLE` when the keys cannot be had in time;
   *   `ERR_KEST_ABORTED`
   */
  async nameAll(
    clear: IdentityContext,
    space: NameSpace,
    { lineage, signal }: NamingOptions,
  ): Promise<Named> {
    const naming = Promise.all(
      IDENTITY_PARTS.map(async (part) => {
        const name = clear[part]
        return [
          part,
          name === null ? null : await this.#name({ part, ...space, name }, lineage?.[part] ?? null),
        ] as const
      }),
    )
    const late = (ms: number): KestError => unavailable(`no answer within ${ms} ms`)
    const patience = { ms: this.#options.timeoutMs, what: 'those who act were named', signal, late }
    const identity = Object.fromEntries(await inTime(naming, patience)) as Record<IdentityPart, string | null>
    const known = IDENTITY_PARTS.flatMap((part) => {
      const [name, pseudonym] = [clear[part], identity[part]]
      return name === null || pseudonym === null || name === pseudonym ? [] : [[pseudonym, name] as const]
    })
    return { identity: Object.freeze(identity), names: Names.of(known, space.tenant) }
  }

  /**
   * What stands for a text that could be guessed at, hexadecimal: HMAC-SHA-256 of the JCS of `["kest.input", text]`. The key is that of
   * an operation: of the part `task`, with the operation's name.
   *
   * @throws {KestError} as {@link nameAll}
   */
  async digest(
    text: string,
    { operation, tenant, signal }: { operation: string; tenant: string | null; signal: AbortSignal | null },
  ): Promise<string> {
    const { pseudonyms, timeoutMs } = this.#options
    const subject: PseudonymSubject = { part: 'task', issuer: null, tenant, name: operation }
    const late = (ms: number): KestError => unavailable(`no answer within ${ms} ms`)
    const patience = { ms: timeoutMs, what: 'its input was named', signal, late }
    const { key } = keyThere(await inTime(askKeys(pseudonyms, subject), patience), 'task')
    return createHmac('sha256', key)
      .update(canonicalize(['kest.input', text]), 'utf8')
      .digest('hex')
  }

  async #name(subject: PseudonymSubject, inLineage: string | null): Promise<string> {
    const { pseudonyms, parts } = this.#options
    const { part, name } = subject
    // Whoever began it has not hidden the name.
    if (inLineage === name) return name
    const kid = inLineage === null ? null : kidOf(inLineage)
    if (inLineage !== null && kid !== null) {
      const before = pseudonymOf(keyThere(await askKeys(pseudonyms, subject, kid), part), subject)
      if (sameName(before, inLineage)) return inLineage
    } else if (!parts.has(part)) return name
    return pseudonymOf(keyThere(await askKeys(pseudonyms, subject), part), subject)
  }
}

/**
 * What a token says where no keys are: it can be compared with no pseudonym, and must not be signed beside one.
 * @throws {KestError} `ERR_KEST_IDENTITY_CONFLICT`
 */
export function assertComparable(token: IdentityContext, lineage: IdentityContext | null): void {
  if (lineage === null || IDENTITY_PARTS.every((part) => token[part] === null)) return
  const part = IDENTITY_PARTS.find((one) => looksLikePseudonym(lineage[one] ?? ''))
  if (part === undefined) return
  throw new KestError(
    'ERR_KEST_IDENTITY_CONFLICT',
    `the lineage names its ${part} by a pseudonym, and there is no key here to compare a token with it: createKest({ subject })`,
  )
}

function keyThere(key: PseudonymKey | null, part: IdentityPart): PseudonymKey {
  if (key !== null) return key
  throw new KestError(
    'ERR_KEST_IDENTITY_CONFLICT',
    `the ${part} cannot be named or compared: there is no such key, or it was destroyed (K-PSEUDONYM)`,
  )
}
