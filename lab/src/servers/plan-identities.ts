import { CannotRun } from '../failure.js'
import type { Programs } from '../supervisor/programs.js'
import type { Supervisor } from '../supervisor/supervisor.js'
import { startEmbedded } from './embedded.js'
import type { Identities } from './identities.js'
import { startSpire } from './spire.js'
import { serviceUsers } from './users.js'

/** Who gives identities, before anything runs. */
export interface IdentityPlan {
  /** For whoever watches. */
  readonly description: string
  start(supervisor: Supervisor, options: IdentityOptions): Promise<Identities>
}

export interface IdentityOptions {
  /** For sockets and data: a short path, which others may go through. */
  readonly folder: string
  /** For SPIRE's server. */
  readonly port: number
  /** Life of SVIDs. */
  readonly ttlSeconds: number
}

/**
 * SPIRE where it can be, unless somebody says otherwise.
 * @throws {CannotRun} when SPIRE is asked for and cannot be
 */
export function planIdentities(programs: Programs, wanted: 'spire' | 'embedded' | null): IdentityPlan {
  const users = serviceUsers()
  const spire = programs.findAll('spire-server', 'spire-agent')
  const obstacle =
    spire === null
      ? 'spire-server and spire-agent are not on PATH'
      : users.apart
        ? null
        : `SPIRE could not tell the services apart: ${users.why}`
  if (wanted === 'spire' && obstacle !== null) throw new CannotRun(`--identities spire: ${obstacle}`)
  if (spire !== null && obstacle === null && wanted !== 'embedded')
    return {
      description: 'SVIDs of SPIRE, which knows the services by the users that they run as',
      start: (supervisor, options) => startSpire(supervisor, { ...options, users, programs: spire }),
    }
  return {
    description: `SVIDs of the embedded Workload API, which attests nothing (${wanted === 'embedded' ? 'as was asked for' : obstacle})`,
    start: (supervisor, options) => startEmbedded(supervisor, { ...options, users }),
  }
}
