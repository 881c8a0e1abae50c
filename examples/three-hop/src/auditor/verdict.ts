import type { AuditedEntry } from '@kest/audit'
import {
  keySourcesOf,
  type Passport,
  PassportVerificationError,
  type TrustDocument,
  verifyPassport,
} from '@kest/core'
import { createX509KeySource } from '@kest/spiffe'
import type { VerifiedLineage } from './audit.js'
import { ROOTS } from './roots.js'

/** Why a passport does not hold, and which entry shows it. */
export interface Fault {
  readonly code: string
  readonly reason: string
  readonly entry: AuditedEntry
}

/**
 * Judges a passport by public trust material alone; no service is asked. A lineage that claims more than it has is a fault, too.
 *
 * @param passport the lineage's own, or what somebody has made of it
 * @returns `null` when all of it holds
 */
export async function faultOf(
  passport: Passport,
  lineage: VerifiedLineage,
  trust: TrustDocument,
): Promise<Fault | null> {
  const { entries, tips } = lineage
  try {
    const sources = keySourcesOf(trust, { x509: createX509KeySource })
    await verifyPassport(passport, { trust: sources, tip: tips, roots: ROOTS, semantics: 'enforce' })
    return null
  } catch (error) {
    if (!(error instanceof PassportVerificationError)) throw error
    // Of a whole passport no entry is at fault: then it is the tip that is missing.
    const entry =
      entries.find(({ entry }) => entry.entry_id === error.entryId) ??
      entries.find(({ hash, jws }) => tips.includes(hash) && !passport.entries.includes(jws))
    if (entry === undefined) throw error
    return { code: error.code, reason: error.message.replace(/^(entry \d+|passport): /, ''), entry }
  }
}
