import { createHash, randomBytes } from 'node:crypto'
import type { KestEntry } from '../../src/entry/entry.js'
import { Lineage } from '../../src/passport/lineage.js'
import type { IdentityContext, VerifiedEntry } from '../../src/passport/verified.js'

/** Entries for tests of what carries a lineage and does not look into it: any text in place of the JWS. */
export function entryOf(jws: string, identity: IdentityContext | null = null): VerifiedEntry {
  return {
    jws,
    hash: createHash('sha256').update(jws).digest('hex'),
    entry: { parent_ids: [] as readonly string[] } as KestEntry,
    principal: 'spiffe://test/a',
    proven: true,
    alg: 'EdDSA',
    keySource: 'test',
    trustScore: 100,
    taints: [],
    identity,
    identityBy: null,
    claimedIdentity: identity,
    plain: { trustScore: 100, taints: [] },
  }
}

/** A chain of these strings; its tip is the last one. */
export function lineageOf(strings: readonly string[], identity: IdentityContext | null = null): Lineage {
  const entries = strings.map((jws) => entryOf(jws, identity))
  return Lineage.of(entries, entries.slice(-1))
}

/** As long and as random as a real entry, where it matters: `payload` characters and a signature of 86. */
export function jwsLike(payload: number): string {
  return `eyJhbGciOiJFZERTQSJ9.${'e'.repeat(payload)}.${randomBytes(64).toString('base64url')}`
}
