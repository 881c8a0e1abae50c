import type { MaybePromise } from '../maybe-promise.js'
import type { IdentityPart } from '../trust/identity-authorities.js'

/** Whom a pseudonym is for, in clear. */
export interface PseudonymSubject {
  readonly part: IdentityPart
  /** The `iss` of the token; `null` for whom an operation names. */
  readonly issuer: string | null
  /** As the option `tenant` finds it in the token; `null` where there is none. */
  readonly tenant: string | null
  readonly name: string
}

/** A key for pseudonyms. */
export interface PseudonymKey {
  /**
   * Names the key, in every pseudonym that is made by it: for everybody to read, so it says nothing about whose it is. 1 to 64
   * of `A-Z a-z 0-9 _ -`.
   */
  readonly kid: string
  /** At least 32 bytes, drawn at random. */
  readonly key: Uint8Array
}

/**
 * Where keys for pseudonyms are kept: one for all, one for each tenant, or one for each person (K-PSEUDONYM). Whoever has a key and
 * guesses a name can tell whether it is right; without it nobody can. To destroy a key is to erase: what was signed stays as it is
 * and verifies, and nobody can say any more whom it is about.
 *
 * Asked for each request whose identity is named, so it should remember. What it throws is not shown but for class and code: its
 * message could name whom it was asked about.
 */
export interface PseudonymKeys {
  /** The key by which somebody is named from now on; `null` when there is none for them: the request is refused. */
  current(subject: PseudonymSubject): MaybePromise<PseudonymKey | null>
  /**
   * The key by which somebody was named before; `null` when it was destroyed, or never theirs.
   * @param kid out of somebody's lineage: well-formed, and else whatever a workload has signed
   */
  find(kid: string, subject: PseudonymSubject): MaybePromise<PseudonymKey | null>
}
