import { KestError, verifyDenial } from '@kest/core'
import { type AuditFinding, finding } from '../finding.js'
import { type Denial, type DraftedDenial, failedDenial, provenDenial } from './denial.js'
import type { JudgeRules } from './options.js'

/** Signed denials of a trace that are verified at once. */
const AT_ONCE = 64

/** What holds of denials, and what is wrong with them. */
export interface JudgedDenials {
  readonly denials: readonly Denial[]
  readonly findings: readonly AuditFinding[]
}

/** Which of the denials their principals have signed (K-DENIAL): only of those it is compared what their spans say. */
export async function judgeDenials(
  drafted: readonly DraftedDenial[],
  rules: JudgeRules,
): Promise<JudgedDenials> {
  const denials: Denial[] = []
  const findings: AuditFinding[] = []
  for (let from = 0; from < drafted.length; from += AT_ONCE) {
    const some = drafted.slice(from, from + AT_ONCE)
    const failures = await Promise.all(some.map((one) => failureOf(one, rules)))
    for (const [i, one] of some.entries()) {
      const failure = failures[i] ?? null
      const { place } = one.said
      denials.push(failure === null ? provenDenial(one) : failedDenial(one))
      if (failure !== null) findings.push(brokenDenial(failure, place))
      else if (one.differing.length > 0) {
        const message = `the span says something else than its denial: ${one.differing.join(', ')}`
        findings.push(finding('attribute-differs', message, { place }))
      }
    }
  }
  return { denials, findings }
}

/** @param beside what is said beside why */
export function brokenDenial({ code, message }: KestError, place: string, beside = ''): AuditFinding {
  return finding('denial-broken', message + beside, { cause: code, place })
}

async function failureOf({ parsed }: DraftedDenial, { sources, at }: JudgeRules): Promise<KestError | null> {
  try {
    await verifyDenial(parsed, sources, at ?? undefined)
    return null
  } catch (error) {
    if (error instanceof KestError) return error
    throw error
  }
}
