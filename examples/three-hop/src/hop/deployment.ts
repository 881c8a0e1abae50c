// The hop's side of the deployment. A real service has this from its platform: its identity from SPIRE, addresses from
// its configuration.
import { once } from 'node:events'
import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { LocalEd25519Provider } from '@kest/core'
import type { SPIREProvider } from '@kest/spiffe'
import type { Telemetry } from '@kest/telemetry'
import type { Assignment } from './messages.js'
import { tell } from './tell.js'

/** Longer than the audit trail takes to write what is left, or to say that it cannot. */
const SHUTDOWN_MS = 30_000

if (!process.connected) throw new Error('a hop is started by the operator: npm start')
// Whatever it waits for: without the operator nobody needs it.
process.once('disconnect', endAtOnce)

/** A key of the hop's own in place of an SVID, if the operator has started it so: `npm start -- --local-keys`. */
export function localKey(workloadId: string): LocalEd25519Provider | undefined {
  if (!process.argv.includes('--local-keys')) return undefined
  return new LocalEd25519Provider({ workloadId, quiet: true })
}

/**
 * Tells the operator who this hop is, and waits for its place. A key of its own proves nothing of that; but whoever
 * started this process knows what it is, and lists the key under a principal himself (K-PRINCIPAL).
 */
export async function enlist(identity: LocalEd25519Provider | SPIREProvider): Promise<Assignment> {
  const publicKey = identity instanceof LocalEd25519Provider ? identity.getPublicJwk() : null
  tell({ workloadId: identity.getWorkloadId(), publicKey })
  const [assignment] = await once(process, 'message')
  return assignment as Assignment
}

/** Tells the operator where this hop is. It ends in good order when the operator says so, or is gone. */
export function serve(server: Server, auditTrail: Telemetry): void {
  process.off('disconnect', endAtOnce)
  process.once('disconnect', () => {
    server.close()
    server.closeAllConnections()
    setTimeout(() => process.exit(1), SHUTDOWN_MS)
    auditTrail.shutdown().then(
      () => process.exit(0),
      (error: unknown) => {
        console.error(error)
        process.exit(1)
      },
    )
  })
  tell({ origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}` })
}

function endAtOnce(): void {
  process.exit(1)
}
