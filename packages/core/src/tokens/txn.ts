import type { JWTPayload } from 'jose'
import { KestError } from '../errors.js'

const MAX_LENGTH = 255

/**
 * Which transaction a Txn-Token is of: its `txn`, which it must have (OAuth Transaction Tokens).
 * @throws {KestError} `ERR_KEST_TOKEN` for one that is missing, not text, or longer than 255 characters
 */
export function txnOf({ txn }: JWTPayload): string {
  if (typeof txn === 'string' && txn !== '' && txn.length <= MAX_LENGTH && !/\p{Surrogate}/u.test(txn))
    return txn
  throw new KestError('ERR_KEST_TOKEN', `claim "txn": expected text of at most ${MAX_LENGTH} characters`)
}
