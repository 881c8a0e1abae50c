import type { Readable } from 'node:stream'
import {
  type Evidence,
  KestError,
  type KestErrorCode,
  LABEL,
  type Passport,
  PassportVerificationError,
  parseEvidence,
  type VerifiedDenial,
  type VerifiedPassport,
  type VerifyEvidenceOptions,
  verifyEvidence,
} from '@kest/core'
import { EXIT, type ExitCode } from '../exit-code.js'
import { readText } from '../files/read.js'
import { readEntries } from '../show/shown-entry.js'
import type { Unmet } from '../trust/unmet-domains.js'

/** What is said of one file. */
export type Verdict = Holds | Fails

export interface Holds {
  readonly ok: true
  readonly file: string
  /** Whether against trust of the verifier's own (K-ANCHOR). */
  readonly anchored: boolean
  readonly passport: VerifiedPassport
  /** What was refused, signed beside it (K-DENIAL). */
  readonly denials: readonly VerifiedDenial[]
}

export interface Fails {
  readonly ok: false
  readonly file: string
  readonly code: KestErrorCode
  readonly message: string
  /** The entry at fault; `null` when it is the passport, or the file. */
  readonly index: number | null
  readonly entryId: string | null
  /** Whether nothing can be said about the passport, because the file or the options make no sense. */
  readonly unusable: boolean
  /** Whose entries are in the passport, as far as they can be read. */
  readonly entries: readonly Unmet[]
}

/** Errors that are about the file or the question, and not about what the file claims. */
const UNUSABLE: ReadonlySet<KestErrorCode> = new Set(['ERR_KEST_EVIDENCE', 'ERR_KEST_CONFIG'])

/** Reads a file and verifies it. Whatever is wrong with it is the answer; only our own mistakes are thrown. */
export async function judgeFile(
  file: string,
  options: VerifyEvidenceOptions,
  stdin: Readable,
): Promise<Verdict> {
  let text: string
  try {
    text = await readText(file, stdin)
  } catch (error) {
    return fails(file, error, true)
  }
  return await judgeText(file, text, options)
}

/** As {@link judgeFile}, of what was read of one. */
export async function judgeText(
  file: string,
  text: string,
  options: VerifyEvidenceOptions,
): Promise<Verdict> {
  let evidence: Evidence | undefined
  try {
    evidence = parseEvidence(text)
    const { passport, denials, anchored } = await verifyEvidence(evidence, options)
    return { ok: true, file, anchored, passport, denials }
  } catch (error) {
    return fails(file, error, error instanceof KestError && UNUSABLE.has(error.code), evidence?.passport)
  }
}

/** A set, so that their order says nothing: sorted. */
export function tipHashes({ passport }: Holds): string[] {
  return passport.tips.map(({ hash }) => hash).sort()
}

export function exitCodeOf(verdict: Verdict): ExitCode {
  if (verdict.ok) return EXIT.holds
  return verdict.unusable ? EXIT.unusable : EXIT.fails
}

/** The answer for a file that cannot be judged, or does not hold. @throws what is no error of ours */
export function fails(file: string, error: unknown, unusable: boolean, passport?: Passport): Fails {
  if (!(error instanceof KestError)) throw error
  const { code, message } = error
  const at = error instanceof PassportVerificationError ? error : { index: null, entryId: null }
  const entries = passport === undefined ? [] : signersOf(passport, code)
  return { ok: false, file, code, message, index: at.index, entryId: at.entryId, unusable, entries }
}

function signersOf(passport: Passport, failure: KestErrorCode): Unmet[] {
  return readEntries(passport).flatMap(({ content }) =>
    content instanceof KestError ? [] : [{ principal: content.entry.labels[LABEL.principal] ?? '', failure }],
  )
}
