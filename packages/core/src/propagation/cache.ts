import type { MaybePromise } from '../maybe-promise.js'

/** Where passports wait that are too large for a header (claim check, F-CP-04). */
export interface CacheProvider {
  /** The value, or `null` when there is none (any more). */
  get(key: string): MaybePromise<string | null>
  /** Stores for `ttlMs` if the key is absent, and answers whether it did (K-CLAIM). */
  setIfAbsent(key: string, value: string, ttlMs: number): MaybePromise<boolean>
  close?(): MaybePromise<void>
}
