import type { Verdict } from '@kest/audit'

/** A verdict as a picture says it. */
export function verdictWord(verdict: Verdict): string {
  return verdict === 'empty' ? 'no entry, no proof' : verdict
}
