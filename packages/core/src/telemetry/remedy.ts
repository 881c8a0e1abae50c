import { KestError, type KestErrorCode } from '../errors.js'

const CLOCKS = 'compare the clocks of this host and of the one that signed the entry'

const REMEDIES: Readonly<Partial<Record<KestErrorCode, string>>> = {
  ERR_KEST_CONFIG: 'mend the option that the message names',
  ERR_KEST_IDENTITY:
    'look whether the SPIFFE agent, or whatever else gives the identity, runs and knows this workload; and at the clock',
  ERR_KEST_ENGINE: 'look whether the policy engine runs, and at its address',
  ERR_KEST_ENGINE_TIMEOUT: 'look whether the policy engine hangs, or has more to do than it can',
  ERR_KEST_ENGINE_ANSWER:
    'look at what answers at the address of the policy engine, and at what the policy gives',
  ERR_KEST_NOT_ASKED:
    'look why the policies named here take so long: they are asked one request at a time until they answer',
  ERR_KEST_CACHE: 'look whether the cache can be reached, and is the same on both sides',
  ERR_KEST_KEYS_UNAVAILABLE: 'look whether what gives keys and trust bundles can be reached',
  ERR_KEST_AUDIT_UNAVAILABLE:
    'look whether what takes the audit spans runs and has room: the audit trail logs where it is',
  ERR_KEST_DENIED: 'if it is to be allowed, look at the policies named here, and whether the engine has them',
  ERR_KEST_KEY_UNKNOWN: 'if the signer is to be trusted, give its key to the trust material',
  ERR_KEST_CERTIFICATE: "look whether the trust bundle here has the signer's authority, and at the clocks",
  ERR_KEST_FRESHNESS: CLOCKS,
  ERR_KEST_TIME: CLOCKS,
}

/** What an operator looks at first, for the log; `undefined` where the message says all there is. */
export function remedyOf(error: unknown): string | undefined {
  return error instanceof KestError ? REMEDIES[error.code] : undefined
}
