import type { Server } from 'node:http'

const DRAIN_MS = 5_000

/**
 * Ends the process in good order at SIGTERM and SIGINT: no new requests, those under way are finished, then `close` writes
 * what is left. What takes longer than five seconds is cut off.
 */
export function endInGoodOrder(server: Server, close: () => Promise<void>): void {
  const end = async (): Promise<void> => {
    const drained = new Promise<void>((resolve) => server.close(() => resolve()))
    server.closeIdleConnections()
    const late = setTimeout(() => server.closeAllConnections(), DRAIN_MS)
    await drained
    clearTimeout(late)
    await close()
  }
  const once = (): void => {
    process.off('SIGTERM', once).off('SIGINT', once)
    end().then(
      () => process.exit(0),
      (error: unknown) => {
        console.error(error)
        process.exit(1)
      },
    )
  }
  process.on('SIGTERM', once).on('SIGINT', once)
}
