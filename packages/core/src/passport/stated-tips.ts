import { createHash } from 'node:crypto'

/** Entry hashes, or, where a list of them has no room, their digest alone (K-TIPS). */
const HASH = /^[0-9a-f]{64}$/
const DIGEST = /^~[0-9a-f]{64}$/

/**
 * Stands for a list of tips that does not fit where it should be (K-TIPS).
 * @returns `~` and the SHA-256 of the hashes, sorted and joined by commas
 */
export function tipsDigest(hashes: Iterable<string>): string {
  return `~${createHash('sha256')
    .update([...hashes].sort().join(','))
    .digest('hex')}`
}

/** Whether a statement of tips is a digest, and not a list of hashes. */
export function isTipsDigest(stated: readonly string[]): boolean {
  return stated.length === 1 && DIGEST.test(stated[0] as string)
}

/** Whether it is what may be stated of tips: distinct entry hashes, or a digest by itself. */
export function isStatedTips(stated: readonly unknown[]): stated is readonly string[] {
  if (!stated.every((item): item is string => typeof item === 'string')) return false
  if (isTipsDigest(stated)) return true
  return stated.every((hash) => HASH.test(hash)) && new Set(stated).size === stated.length
}

/**
 * K-TIP: whether the tips are those that were stated, as sets, so that neither a cut tail nor a grafted one goes unnoticed.
 *
 * @param hashes of the tips, each once
 */
export function areStatedTips(hashes: readonly string[], stated: readonly string[]): boolean {
  if (isTipsDigest(stated)) return tipsDigest(hashes) === stated[0]
  const actual = new Set(hashes)
  return new Set(stated).size === actual.size && stated.every((hash) => actual.has(hash))
}
