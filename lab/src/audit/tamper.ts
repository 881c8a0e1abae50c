import type { AuditedEntry } from '@kest/audit'
import {
  keySourcesOf,
  Passport,
  PassportVerificationError,
  type TrustDocument,
  verifyPassport,
} from '@kest/core'
import { createX509KeySource } from '@kest/spiffe'
import { Failure } from '../failure.js'

/** What somebody made of a passport, and how an auditor notices. */
export interface Tampering {
  readonly what: string
  /** The code of the fault. */
  readonly code: string
  /** The service at whose entry it shows, and why. */
  readonly at: string
  readonly reason: string
}

interface Attempt {
  readonly what: string
  readonly passport: Passport
  readonly expected: string
}

/**
 * Tampers with a passport, in each way that there is.
 * @throws {Failure} when it is not noticed, or taken for something else
 */
export async function tamper(
  entries: readonly AuditedEntry[],
  tips: readonly string[],
  trust: TrustDocument,
): Promise<readonly Tampering[]> {
  const passport = new Passport(entries.map(({ jws }) => jws))
  const attempts: readonly Attempt[] = [
    {
      what: "a byte of hop2's entry changed",
      passport: withByteChanged(passport, 1),
      expected: 'ERR_KEST_SIGNATURE',
    },
    {
      what: "hop2's entry removed",
      passport: new Passport(passport.entries.toSpliced(1, 1)),
      expected: 'ERR_KEST_PARENT_UNKNOWN',
    },
    {
      what: 'the tail cut off under its tip',
      passport: new Passport(passport.entries.slice(0, 2)),
      expected: 'ERR_KEST_TIP',
    },
  ]
  const found: Tampering[] = []
  for (const { what, passport: tampered, expected } of attempts) {
    const fault = await faultOf(tampered, tips, trust)
    if (fault === null) throw new Failure(`${what}: nobody noticed`)
    if (fault.code !== expected) throw new Failure(`${what}: expected ${expected}, got ${fault.code}`)
    // Of a whole passport no entry is at fault: then it is the tip that is missing.
    const at = entries.find(({ entry, hash }) =>
      fault.entryId === null ? tips.includes(hash) : entry.entry_id === fault.entryId,
    )
    const where = at === undefined ? '?' : `${at.service}'s entry ${at.entry.entry_id}`
    found.push({
      what,
      code: fault.code,
      at: where,
      reason: fault.message.replace(/^(entry \d+|passport): /, ''),
    })
  }
  return found
}

async function faultOf(
  passport: Passport,
  tips: readonly string[],
  trust: TrustDocument,
): Promise<PassportVerificationError | null> {
  try {
    const sources = keySourcesOf(trust, { x509: createX509KeySource })
    await verifyPassport(passport, { trust: sources, tip: tips, semantics: 'enforce' })
    return null
  } catch (error) {
    if (error instanceof PassportVerificationError) return error
    throw error
  }
}

/** One byte of what an entry says: trust 40 becomes trust 90. Its signature stays. */
function withByteChanged({ entries }: Passport, index: number): Passport {
  const [header, payload, signature] = entries[index]!.split('.')
  const text = Buffer.from(payload!, 'base64url').toString()
  const changed = Buffer.from(text.replace('"trust_score":4', '"trust_score":9')).toString('base64url')
  return new Passport(entries.with(index, `${header}.${changed}.${signature}`))
}
