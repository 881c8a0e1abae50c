import type { Server } from 'node:http'

const DRAIN_MS = 5_000
const LOOK_MS = 50

/**
 * Ends the process in good order at SIGTERM and SIGINT: no new connections, requests under way are finished and their
 * connections closed, then `close` writes what is left. What takes longer than five seconds is cut off.
 */
export function endInGoodOrder(server: Server, close: () => Promise<void>): void {
  const once = (): void => {
    process.off('SIGTERM', once).off('SIGINT', once)
    drain(server)
      .then(close)
      .then(
        () => process.exit(0),
        (error: unknown) => {
          console.error(error)
          process.exit(1)
        },
      )
  }
  process.on('SIGTERM', once).on('SIGINT', once)
}

async function drain(server: Server): Promise<void> {
  const drained = new Promise<void>((resolve) => server.close(() => resolve()))
  // Callers keep their connections: each is told with its next answer, and closed when it has none to wait for.
  server.prependListener('request', (_request, response) => response.setHeader('connection', 'close'))
  const idle = setInterval(() => server.closeIdleConnections(), LOOK_MS)
  const late = setTimeout(() => server.closeAllConnections(), DRAIN_MS)
  await drained
  clearInterval(idle)
  clearTimeout(late)
}
