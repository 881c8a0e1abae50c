import { FINDING_CODES, type FindingCode, type Severity, severityOf } from '@kest/audit'
import { oneOf } from '../arguments/choice.js'

const SEVERITIES: readonly Severity[] = ['error', 'warning', 'note']
/** All that `--fail-on` takes. */
export const FAIL_ON_WORDS: readonly string[] = [...FINDING_CODES, ...SEVERITIES, 'none']

/**
 * The findings that fail an audit: those named, and those of a severity named or of a graver one. Default: `error`.
 *
 * @param values of `--fail-on`; each may hold several, separated by commas. `none` is nothing.
 * @throws {UsageError} for a word that is neither
 */
export function failOn(values: readonly string[] = ['error']): ReadonlySet<FindingCode> {
  const failing = new Set<FindingCode>()
  for (const value of values.flatMap((list) => list.split(','))) {
    const word = oneOf('fail-on', value, FAIL_ON_WORDS)
    for (const code of FINDING_CODES) if (code === word || isAsGrave(code, word)) failing.add(code)
  }
  return failing
}

function isAsGrave(code: FindingCode, word: string): boolean {
  const bound = SEVERITIES.indexOf(word as Severity)
  return bound !== -1 && SEVERITIES.indexOf(severityOf(code)) <= bound
}
