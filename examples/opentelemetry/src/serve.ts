import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'

/** Tells whoever started this process where it listens, and stops when it is told to. */
export function serve(server: Server): void {
  process.send?.(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
  process.once('SIGTERM', () => {
    server.close()
    server.closeAllConnections()
    process.disconnect?.()
  })
}
