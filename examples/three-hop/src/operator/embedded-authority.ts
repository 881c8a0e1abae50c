import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { TRUST_DOMAIN } from '../chain.js'
import type { AuthorityReady } from '../hop/messages.js'
import { Child } from './child.js'
import type { Identities } from './identities.js'
import { connectSvids } from './svids.js'
import type { Watch } from './watch.js'

const PROGRAM = fileURLToPath(new URL('../authority.js', import.meta.url))
/** It is a workload like others: it must be somebody to be told the bundle. */
const OPERATOR = 'operator'

/**
 * Identities of an authority of the demonstration's own, in place of SPIRE. It is a process of its own. Each hop is given
 * the socket that makes it who it is.
 *
 * @param logFolder for its log
 */
export async function startAuthority(
  hops: readonly string[],
  logFolder: string,
  watch: Watch,
): Promise<Identities> {
  const folder = new SocketFolder()
  const log = join(logFolder, 'authority.log')
  const authority = new AuthorityProcess([folder.path, OPERATOR, ...hops], log, watch)
  const release = async (): Promise<void> => {
    await authority.kill()
    folder.remove()
  }
  try {
    const sockets = await authority.sockets()
    const socketOf = (name: string): string => sockets[name] ?? ''
    return await connectSvids(socketOf(OPERATOR), watch, {
      description: `SVIDs of the embedded authority of ${TRUST_DOMAIN}`,
      settingsOf: (name) => ({ env: { SPIFFE_ENDPOINT_SOCKET: socketOf(name) } }),
      release,
    })
  } catch (error) {
    await release()
    throw error
  }
}

class AuthorityProcess extends Child {
  constructor(args: readonly string[], logFile: string, watch: Watch) {
    super('authority', PROGRAM, { args }, logFile, watch)
  }

  /** The first thing that it says. */
  async sockets(): Promise<AuthorityReady['sockets']> {
    return (await this.receive<AuthorityReady>()).sockets
  }
}

/** Where the sockets are, for nobody but this user. Where this process cannot remove it any more, the authority does. */
class SocketFolder {
  readonly path = mkdtempSync(join(tmpdir(), 'kest-dev-'))

  constructor() {
    process.on('exit', this.remove)
  }

  readonly remove = (): void => {
    process.off('exit', this.remove)
    rmSync(this.path, { recursive: true, force: true })
  }
}
