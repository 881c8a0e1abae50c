import { KestError } from '../errors.js'
import type { KeySource, VerificationKey } from '../identity/key-source.js'
import { verifySignature } from '../jws/verify-signature.js'
import { isPromise } from '../maybe-promise.js'
import { findKeys, MAX_KEYS_TRIED } from '../passport/find-keys.js'
import type { ParsedSenderToken, TokenKind } from './sender-token.js'

/** What says of one candidate that he is not the signer; everything else means that nothing can be said. */
const NOT_HIM: ReadonlySet<string> = new Set([
  'ERR_KEST_KEY_UNKNOWN',
  'ERR_KEST_ALG',
  'ERR_KEST_LIMIT',
  'ERR_KEST_CERTIFICATE',
  'ERR_KEST_CERTIFICATE_UNSUPPORTED',
])

/**
 * Which of the candidates signed a token, by the keys that the trust material binds to each (K-BIND). Keys that the
 * header names are tried first, and no more than {@link MAX_KEYS_TRIED} in all.
 *
 * @param time when certificates must be valid
 * @throws {KestError} `ERR_KEST_BINDING` when none did; `ERR_KEST_KEYS_UNAVAILABLE` when one of them may have
 */
export async function signerOf(
  { name, rule }: TokenKind,
  token: ParsedSenderToken,
  candidates: ReadonlySet<string>,
  sources: readonly KeySource[],
  time: number,
): Promise<string> {
  const { header, signingInput, signature } = token
  let tries = 0
  const signed = ({ key }: VerificationKey): boolean =>
    tries++ < MAX_KEYS_TRIED && verifySignature(header.alg, key, signingInput, signature)

  const unnamed: [principal: string, key: VerificationKey][] = []
  const doubts: unknown[] = []
  for (const principal of candidates) {
    try {
      const asked = findKeys({ principal, header, time }, sources)
      const { keys } = isPromise(asked) ? await asked : asked
      for (const key of keys) {
        if (key.kid !== header.kid) unnamed.push([principal, key])
        else if (signed(key)) return principal
      }
    } catch (error) {
      doubts.push(error)
    }
  }
  const found = unnamed.find(([, key]) => signed(key))
  if (found !== undefined) return found[0]
  const unsaid = doubts.find((error) => !(error instanceof KestError && NOT_HIM.has(error.code)))
  if (unsaid === undefined) {
    throw new KestError(
      'ERR_KEST_BINDING',
      `the ${name} was signed by neither the principal of a tip nor a relay (${rule})`,
      { cause: doubts[0] },
    )
  }
  if (unsaid instanceof KestError) throw unsaid
  throw new KestError('ERR_KEST_KEYS_UNAVAILABLE', 'a key source failed', { cause: unsaid })
}
