import { createKeySigner, type IdentityProvider, KestConfigError, KestError, type Signer } from '@kest/core'
import { SpiffeError } from '../errors.js'
import { X509Source, type X509SourceOptions } from '../source/x509-source.js'
import type { X509Svid } from '../svid/x509-svid.js'

/**
 * The identity of a workload in SPIRE, or behind any other Workload API: it signs with the key of its current X.509-SVID,
 * and every entry carries the certificates (K-X5C).
 *
 * Each signer is of one SVID: name, key and certificates that belong together, also when it rotates between two requests
 * (K-SIGNER). When the SVID has expired or was withdrawn, there is no identity and nothing is signed.
 *
 * @example
 * ```ts
 * const identity = await SPIREProvider.connect()               // SPIFFE_ENDPOINT_SOCKET
 * configure({ identity, engine, trust: [createX509KeySource(identity.source)] })
 * ```
 */
export class SPIREProvider implements IdentityProvider {
  /** The SVIDs and bundles that it follows. */
  readonly source: X509Source
  readonly #owned: boolean
  #svid: X509Svid | undefined
  #signer: Signer | undefined

  private constructor(source: X509Source, owned: boolean) {
    this.source = source
    this.#owned = owned
  }

  /** Signs with the identity of a source that is there, and is not closed with the provider. */
  static of(source: X509Source): SPIREProvider {
    return new SPIREProvider(source, false)
  }

  /**
   * Connects to the Workload API, and waits until there is an identity.
   *
   * @throws {KestConfigError} for a wrong address or option; {@link KestError} `ERR_KEST_IDENTITY` otherwise. The cause is
   *   the {@link SpiffeError} of {@link X509Source.connect}.
   */
  static async connect(options: X509SourceOptions = {}): Promise<SPIREProvider> {
    try {
      return new SPIREProvider(await X509Source.connect(options), true)
    } catch (cause) {
      throw toKestError(cause)
    }
  }

  /** @throws {KestError} as {@link SPIREProvider.current} */
  getWorkloadId(): string {
    return this.current().workloadId
  }

  /**
   * The signer of the current SVID: the same object until that changes.
   *
   * @throws {KestError} `ERR_KEST_IDENTITY`: expired, withdrawn, stale, closed, or a key of a kind that does not sign here
   *   (P-256, P-384, Ed25519 and RSA do). The cause says which.
   */
  current(): Signer {
    try {
      const svid = this.source.current()
      if (this.#signer === undefined || svid !== this.#svid) {
        this.#signer = signerOf(svid)
        this.#svid = svid
      }
      return this.#signer
    } catch (cause) {
      throw toKestError(cause)
    }
  }

  /** Closes the source if {@link SPIREProvider.connect} made it. Idempotent. */
  close(): void {
    if (this.#owned) this.source.close()
    this.#svid = undefined
    this.#signer = undefined
  }

  [Symbol.dispose](): void {
    this.close()
  }
}

function signerOf(svid: X509Svid): Signer {
  const { alg, sign } = createKeySigner(svid.privateKey)
  const x5c = Object.freeze(svid.certificates.map((der) => Buffer.from(der).toString('base64')))
  return Object.freeze({
    workloadId: svid.id.toString(),
    header: Object.freeze({ alg, x5c }),
    local: true,
    sign,
  })
}

function toKestError(cause: unknown): KestError {
  if (cause instanceof SpiffeError) {
    const configuration = cause.code === 'ERR_SPIFFE_ADDRESS' || cause.code === 'ERR_SPIFFE_CONFIG'
    if (configuration) return new KestConfigError(`identity: ${cause.message}`, { cause })
  }
  return new KestError(
    'ERR_KEST_IDENTITY',
    `identity: ${cause instanceof Error ? cause.message : String(cause)}`,
    { cause },
  )
}
