import { types } from 'node:util'
import { KestError } from '../errors.js'
import { describeWithoutWords } from '../telemetry/describe-error.js'
import { isKid } from './pseudonym.js'
import type { PseudonymKey, PseudonymKeys, PseudonymSubject } from './pseudonym-keys.js'

/** As many as the hash has: fewer could be guessed before the names are. */
export const MIN_KEY_BYTES = 32

/** Errors of our own sources, whose messages name nobody. */
const own = new WeakSet<Error>()

/**
 * Asks a source for a key, and believes nothing of its answer.
 *
 * @param kid of which key; default: the one that is in use now
 * @returns `null` when the source says that there is none
 * @throws {KestError} `ERR_KEST_KEYS_UNAVAILABLE` when it fails, or answers with no key, a short one, or another's; no message
 *   says whom it was asked about
 */
export async function askKeys(
  source: PseudonymKeys,
  subject: PseudonymSubject,
  kid?: string,
): Promise<PseudonymKey | null> {
  const answer = await answerOf(source, subject, kid)
  if (answer === null) return null
  if (!isKid(answer.kid)) throw unavailable('it answered a key without a well-formed kid')
  if (!types.isUint8Array(answer.key) || answer.key.byteLength < MIN_KEY_BYTES)
    throw unavailable(`it answered no key of at least ${MIN_KEY_BYTES} bytes`)
  if (kid !== undefined && answer.kid !== kid) throw unavailable('it answered another key than was asked for')
  return answer
}

/** Marks an error of a source as one whose message says nothing of whom it was asked about. */
export function namesNobody<E extends Error>(error: E): E {
  own.add(error)
  return error
}

export function unavailable(why: string, cause?: unknown): KestError {
  const options = cause === undefined ? {} : { cause }
  return new KestError('ERR_KEST_KEYS_UNAVAILABLE', `subject.pseudonyms: ${why}`, options)
}

/** Each member read once: what is computed may say something else the next time. */
async function answerOf(
  source: PseudonymKeys,
  subject: PseudonymSubject,
  wanted: string | undefined,
): Promise<PseudonymKey | null> {
  let failure: unknown
  try {
    const answer = await (wanted === undefined ? source.current(subject) : source.find(wanted, subject))
    if (answer === null) return null
    const { kid, key } = answer
    return { kid, key }
  } catch (error) {
    failure = error
  }
  if (own.has(failure as Error)) throw unavailable('it failed', failure)
  throw unavailable(`it failed: ${describeWithoutWords(failure, false)}`)
}
