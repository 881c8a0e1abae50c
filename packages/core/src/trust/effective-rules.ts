import { type KestEntry, LABEL } from '../entry/entry.js'
import type { Finding, VerifiedEntry } from '../passport/verified.js'
import type { IdentityPart } from './identity-authorities.js'
import type { RootList } from './root-list.js'

/** Whose word counts for what (K-EFF, K-DOMAIN, K-ROOTS, K-SWITCH). */
export interface EffectiveRules {
  /** Whether a principal may raise trust and remove taints. */
  mayRaise(principal: string): boolean
  /** The most trust that an entry of a principal can have; `undefined`: no bound. */
  ceiling(principal: string): number | undefined
  /** Who may begin lineage; `null`: whoever is accepted. */
  readonly roots: RootList | null
  /** Whether the root of a principal may state a part of who acts. Where there is a list, it must say so as well. */
  mayBeginIdentity(principal: string, part: IdentityPart): boolean
  /** Whether a principal may state another than the lineage says. */
  mayStateIdentity(principal: string, part: IdentityPart): boolean
  /** Whether the entry is made by this very process, which knows who acts in it. Default `false`. */
  readonly own?: boolean
}

/** What an entry takes over from a parent. */
export type EffectiveParent = Pick<
  VerifiedEntry,
  'trustScore' | 'taints' | 'identity' | 'identityBy' | 'claimedIdentity' | 'plain'
>

/** What was found in an entry. */
export type Remark = Pick<Finding, 'kind' | 'code' | 'message'>

const NONE: readonly never[] = Object.freeze([])

const CODES = {
  'trust-raised': 'ERR_KEST_TRUST_RAISED',
  'taint-dropped': 'ERR_KEST_TAINT_DROPPED',
  'trace-differs': 'ERR_KEST_TRACE',
  'identity-conflict': 'ERR_KEST_IDENTITY_CONFLICT',
  'identity-switched': 'ERR_KEST_IDENTITY_CONFLICT',
  'unlisted-root': 'ERR_KEST_ROOT',
} as const satisfies Readonly<Record<Finding['kind'], Finding['code']>>

/** A finding of this kind, under its code. */
export function remark(kind: Finding['kind'], message: string): Remark {
  return { kind, code: CODES[kind], message }
}

/** What an entry claims and does not have; most claim nothing, and then there is no list. */
export class Remarks {
  #list: Remark[] | undefined

  add(kind: Finding['kind'], message: string): void {
    this.#list ??= []
    this.#list.push(remark(kind, message))
  }

  get list(): readonly Remark[] {
    return this.#list ?? NONE
  }
}

export function principalOf(entry: KestEntry): string {
  return entry.labels[LABEL.principal] as string
}
