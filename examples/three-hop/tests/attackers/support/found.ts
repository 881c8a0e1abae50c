import { type FindingCode, severityOf } from '@kest/audit'
import { expect } from 'vitest'
import type { Outcome } from '../outcome.js'

/**
 * What an audit found is what the table says: all of that, and nothing else that is grave. Notes may stand beside, but
 * where the table says that nothing is found there are none.
 */
export function assertFound(found: readonly FindingCode[], outcome: Outcome): void {
  if (outcome.kind !== 'visible') {
    expect(found).toEqual([])
    return
  }
  const { findings } = outcome
  const beside = found.filter((code) => !findings.includes(code) && severityOf(code) !== 'note')
  expect({ missing: findings.filter((code) => !found.includes(code)), beside }).toEqual({
    missing: [],
    beside: [],
  })
}
