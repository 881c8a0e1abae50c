import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { showsKest, startServer, type TestServer } from '../../../tests/outbound/server.js'
import { operationsIn } from '../../../tests/outbound/services.js'

const APP = fileURLToPath(new URL('./support/instrumented-app.mjs', import.meta.url))

let hop2: TestServer
let stranger: TestServer

beforeAll(async () => {
  hop2 = await startServer()
  stranger = await startServer()
})
afterAll(() => Promise.all([hop2.close(), stranger.close()]))

describe('beside HttpInstrumentation and UndiciInstrumentation', () => {
  it('K-AMBIENT K-SCOPE a stranger gets nothing of ours, and the next hop one passport, the right one', async () => {
    const { stdout } = await promisify(execFile)(process.execPath, [APP, hop2.origin, stranger.origin])
    // Instrumentation did carry the member inwards, or there would be nothing to show.
    expect(stdout).toBe('eve')

    const paths = ['/fetch', '/request', ...Array.from({ length: 5 }, () => '/pool')]
    for (const { received } of [hop2, stranger]) expect(received.map(({ url }) => url)).toEqual(paths)
    for (const { headers } of [...hop2.received, ...stranger.received]) {
      // It did instrument these requests, too.
      expect(headers['traceparent']).toMatch(/^00-[0-9a-f]{32}-/)
      expect(headers['baggage']).toContain('tenant=a')
    }
    expect(stranger.received.filter(showsKest)).toEqual([])
    for (const { headers } of hop2.received) {
      expect(String(headers['baggage']).match(/kest\.passport=/g)).toHaveLength(1)
      expect(String(headers['baggage'])).not.toContain('kest.user')
      expect(await operationsIn(headers)).toEqual(['orders.list'])
    }
  })
})
