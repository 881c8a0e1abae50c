import type { PolicyReplayOptions, TimeInForce } from '@kest/audit'
import { IGNORABLE_FIELDS, type IgnorableField, parseRevision } from '@kest/core'
import { listOf } from '../arguments/list.js'
import { parseTime } from '../arguments/time.js'
import { UsageError } from '../arguments/usage-error.js'

export const WITHHELD_OPTION = {
  withheld: {
    type: 'string',
    multiple: true,
    value: 'FIELDS',
    help: `What caches of decisions withheld from their engines ("ignore" of cacheDecisions), separated by commas; may be repeated,
      for others. Without it, what such a cache decided cannot be rebuilt.`,
  },
} as const

/** @throws {UsageError} for fields that no cache can withhold */
export function withheldOf(values: readonly string[]): NonNullable<PolicyReplayOptions['withheld']> {
  return values.map((value) => {
    const fields = listOf(value)
    const unknown = fields.find((field) => !(IGNORABLE_FIELDS as readonly string[]).includes(field))
    if (fields.length === 0 || unknown !== undefined)
      throw new UsageError(`--withheld: expected some of ${IGNORABLE_FIELDS.join(', ')}, got "${value}"`)
    return fields as IgnorableField[]
  })
}

/**
 * `REVISION=FROM/UNTIL`, where one of the times may be left out.
 *
 * @throws {UsageError} for anything else, and for a revision that is named twice
 */
export function inForceOf(values: readonly string[]): Record<string, TimeInForce> {
  const found = new Map<string, TimeInForce>()
  for (const value of values) {
    const at = value.lastIndexOf('=')
    const revision = value.slice(0, Math.max(0, at))
    const [from, until, ...others] = value.slice(at + 1).split('/')
    if (
      parseRevision(revision) === undefined ||
      from === undefined ||
      until === undefined ||
      others.length > 0
    )
      throw new UsageError(`--in-force: expected REVISION=FROM/UNTIL, got "${value}"`)
    if (`${from}${until}` === '') throw new UsageError(`--in-force: "${value}" has no time`)
    if (found.has(revision)) throw new UsageError(`--in-force: ${revision} is named twice`)
    found.set(revision, {
      ...(from !== '' && { from: parseTime('in-force', from) }),
      ...(until !== '' && { until: parseTime('in-force', until) }),
    })
  }
  return Object.fromEntries(found)
}
