import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { showsKest, startServer, type TestServer } from '../../../tests/outbound/server.js'
import { operationsIn } from '../../../tests/outbound/services.js'

const APP = fileURLToPath(new URL('./support/instrumented-app.mjs', import.meta.url))

let hop2: TestServer
let stranger: TestServer
beforeAll(async () => {
  hop2 = await startServer()
  stranger = await startServer()
})
afterEach(() => {
  hop2.received.length = 0
  stranger.received.length = 0
})
afterAll(() => Promise.all([hop2.close(), stranger.close()]))

describe('beside HttpInstrumentation', () => {
  it.each([
    ['patched before it', 'before'],
    ['patched after it', 'after'],
    ['with an agent of Kest’s alone', 'agent'],
  ])(
    'K-AMBIENT K-SCOPE a stranger gets nothing of ours, and the next hop one passport, the right one: %s',
    async (_, order) => {
      const { stdout } = await promisify(execFile)(process.execPath, [
        APP,
        order,
        hop2.origin,
        stranger.origin,
      ])
      // Instrumentation did carry the member inwards, or there would be nothing to show.
      expect(stdout).toBe('eve')
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
    },
  )
})
