import { createPrivateKey, hash } from 'node:crypto'
import type { PublicJwk } from './jwk.js'
import { createKeyIdentity, type KeyIdentity } from './key-identity.js'
import type { Signer } from './provider.js'

/** PKCS #8 of an Ed25519 key up to its 32 bytes (RFC 8410 §7). */
const PKCS8_PREFIX = Buffer.from('302e020100300506032b657004220420', 'hex')

/**
 * An identity for tests: the same name gives the same key, which anyone can compute. Never outside tests.
 *
 * @param name a workload id, or a word: `hop1` is `spiffe://kest.test/hop1`
 */
export class MockIdentityProvider implements KeyIdentity {
  readonly #identity: KeyIdentity

  constructor(name = 'workload') {
    const workloadId = name.includes(':') ? name : `spiffe://kest.test/${name}`
    const seed = hash('sha256', `kest mock identity, for tests only: ${workloadId}`, 'buffer')
    const key = createPrivateKey({ key: Buffer.concat([PKCS8_PREFIX, seed]), format: 'der', type: 'pkcs8' })
    this.#identity = createKeyIdentity(workloadId, key)
  }

  getWorkloadId(): string {
    return this.#identity.getWorkloadId()
  }

  current(): Signer {
    return this.#identity.current()
  }

  getPublicJwk(): PublicJwk {
    return this.#identity.getPublicJwk()
  }
}
