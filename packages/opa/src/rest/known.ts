import { KestError } from '@kest/core'
import type { Answer } from './exchange.js'
import { parseObject } from './parse-object.js'

/** Whoever guards OPA lets nobody ask this, or there is no such question. */
const WITHHELD: ReadonlySet<number> = new Set([401, 403, 404, 405])

/**
 * What an answer says of a policy.
 *
 * @returns `null` where the question is not allowed
 * @throws {KestError} `ERR_KEST_ENGINE`, `ERR_KEST_ENGINE_ANSWER`
 */
export function known(
  { status, text }: Answer,
  says: (answer: Readonly<Record<string, unknown>>) => boolean,
): boolean | null {
  if (WITHHELD.has(status)) return null
  if (status !== 200) throw new KestError('ERR_KEST_ENGINE', `OPA answered ${status}`)
  const answer = parseObject(text)
  if (answer === undefined) throw new KestError('ERR_KEST_ENGINE_ANSWER', 'OPA answered no JSON object')
  return says(answer)
}

/** Whether what OPA compiled can be true at all: what has no rule leaves no query. */
export function hasQueries(result: unknown): boolean {
  return typeof result === 'object' && result !== null && Object.hasOwn(result, 'queries')
}
