import { fileURLToPath } from 'node:url'
import { expect } from 'vitest'
import { showsKest, startServer } from '../../../../tests/outbound/server.js'
import { operationsIn } from '../../../../tests/outbound/services.js'

/** A service that calls the next hop and a stranger, under instrumentation. */
export const INSTRUMENTED_APP = fileURLToPath(new URL('./instrumented-app.mjs', import.meta.url))

/** When it is patched. */
export const ORDERS = [
  ['patched before it', 'before'],
  ['patched after it', 'after'],
  ['with an agent of Kest’s alone', 'agent'],
] as const

/** What becomes of its requests, whatever line of OpenTelemetry is there. `start` runs the app with these arguments. */
export async function expectOwnPassports(
  start: (...args: readonly string[]) => Promise<string>,
): Promise<void> {
  const [hop2, stranger] = [await startServer(), await startServer()]
  try {
    // Instrumentation did carry the member inwards, or there would be nothing to show.
    expect(await start(hop2.origin, stranger.origin)).toBe('eve')
    for (const { received } of [hop2, stranger]) {
      expect(received.map(({ url }) => url)).toEqual(['/request', '/headers', '/late'])
      for (const { headers } of received) {
        // It did instrument these requests, too.
        expect(headers['traceparent']).toMatch(/^00-[0-9a-f]{32}-/)
        expect(headers['baggage']).toContain('tenant=a')
      }
    }
    expect(stranger.received.filter(showsKest)).toEqual([])
    for (const { headers } of hop2.received) {
      expect(String(headers['baggage']).match(/kest\.passport=/g)).toHaveLength(1)
      expect(String(headers['baggage'])).not.toContain('kest.user')
      expect(await operationsIn(headers)).toEqual(['orders.list'])
    }
  } finally {
    await Promise.all([hop2.close(), stranger.close()])
  }
}
