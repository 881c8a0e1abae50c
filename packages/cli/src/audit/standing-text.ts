import { type FollowedFinding, findingJson } from '@kest/audit'
import type { Colors } from '../terminal/colors.js'
import { findingLines } from './report-text.js'

/** What was found that is of no trace, of an audit that goes on. */
export function standingJson(one: FollowedFinding): object {
  const { key, withdrawn } = one
  return { ...findingJson(one), ...(key === null ? {} : { key }), ...(withdrawn ? { withdrawn } : {}) }
}

export function standingText(one: FollowedFinding, colors: Colors): string {
  return `${one.withdrawn ? 'withdrawn: ' : ''}${findingLines([one], colors)}`
}
