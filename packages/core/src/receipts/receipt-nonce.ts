import { KestError } from '../errors.js'
import { randomNonce } from '../hook/random.js'
import { MEMBER } from '../propagation/baggage-names.js'

/** 128 bits, base64url: its last character stands for two of them. */
const NONCE = /^[A-Za-z0-9_-]{21}[AQgw]$/

/** What names one dispatch, and nothing else: drawn for each (K-RECEIPT). */
export function createNonce(): string {
  return randomNonce()
}

export function isNonce(text: string): boolean {
  return NONCE.test(text)
}

/** @throws {KestError} `ERR_KEST_BAGGAGE` for what is none */
export function parseNonce(text: string): string {
  if (isNonce(text)) return text
  throw new KestError('ERR_KEST_BAGGAGE', `baggage: ${MEMBER.receipt} is not 128 bits in base64url`)
}
