import { generateKeyPairSync } from 'node:crypto'
import { basename, extname } from 'node:path'
import { assertOptions } from '../assert-options.js'
import { KestConfigError } from '../errors.js'
import { type Logger, stderrLogger } from '../telemetry/logger.js'
import type { PublicJwk } from './jwk.js'
import { createKeyIdentity, type KeyIdentity } from './key-identity.js'
import type { Signer } from './provider.js'

/** How a {@link LocalEd25519Provider} is made. */
export interface LocalIdentityOptions {
  /** Default `spiffe://kest.local/<name of the program>`. */
  readonly workloadId?: string
  /** Hears the warning. Default: standard error. */
  readonly logger?: Logger
  /** No warning. Default `false`. */
  readonly quiet?: boolean
}

const KNOWN: ReadonlySet<string> = new Set<keyof LocalIdentityOptions>(['workloadId', 'logger', 'quiet'])

/**
 * An identity for development: an Ed25519 key that is made here, is never written and ends with the process. Nobody
 * vouches for it, so it warns, and under `NODE_ENV=production` it refuses unless `KEST_ALLOW_LOCAL_IDENTITY=1`.
 *
 * @throws {KestConfigError} in production, and for unknown options
 */
export class LocalEd25519Provider implements KeyIdentity {
  readonly #identity: KeyIdentity

  constructor(options: LocalIdentityOptions = {}) {
    assertOptions('LocalEd25519Provider', options, KNOWN)
    if (process.env['NODE_ENV'] === 'production' && process.env['KEST_ALLOW_LOCAL_IDENTITY'] !== '1') {
      throw new KestConfigError(
        'a local identity proves nothing, and NODE_ENV is "production": use a provider of your platform, ' +
          'or set KEST_ALLOW_LOCAL_IDENTITY=1',
      )
    }
    const workloadId = options.workloadId ?? defaultWorkloadId()
    this.#identity = createKeyIdentity(workloadId, generateKeyPairSync('ed25519').privateKey)
    if (options.quiet === true) return
    const logger = options.logger ?? stderrLogger
    logger.warn(
      { workload_id: workloadId },
      'LOCAL IDENTITY: a key made by this process, which nobody vouches for. For development only.',
    )
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

function defaultWorkloadId(): string {
  const script = process.argv[1] ?? 'node'
  const name = basename(script, extname(script)).replaceAll(/[^a-zA-Z0-9._-]/g, '-')
  return `spiffe://kest.local/${/[a-zA-Z0-9]/.test(name) ? name : 'node'}`
}
