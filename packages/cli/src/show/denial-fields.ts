import type { KestDenial } from '@kest/core'
import { visible, visibleList } from '../terminal/escape.js'
import type { Field } from '../terminal/fields.js'
import { timeText } from '../terminal/time-text.js'
import { shortHash } from './short-hash.js'

/** What a signed denial says, field by field. Fields that say nothing are left out. */
export function denialFields(denial: KestDenial): Field[] {
  const { denial_id, principal, code, policies, parents, trace_id, n, timestamp_ms, unsigned } = denial
  return [
    ['denial_id', denial_id],
    ['time', timeText(timestamp_ms)],
    ['principal', visible(principal)],
    ['code', visible(code)],
    ...(policies.length === 0 ? [] : ([['policies', visibleList(policies)]] satisfies Field[])),
    ...(parents.length === 0 ? [] : ([['built on', ...parents.map(shortHash)]] satisfies Field[])),
    ...(trace_id === null ? [] : ([['trace', trace_id]] satisfies Field[])),
    ['number', n],
    ...(unsigned === undefined
      ? []
      : ([['unsigned', `${unsigned} before it were refused and not signed`]] satisfies Field[])),
  ]
}
