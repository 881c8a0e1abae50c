import { once } from 'node:events'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, it, onTestFinished } from 'vitest'
import { RESULT } from '../chain.js'
import { sendLoad } from './load.js'

const never = new AbortController().signal
const RIGHT = JSON.stringify(RESULT)

async function serve(listener: RequestListener): Promise<string> {
  const server = createServer(listener).listen(0, '127.0.0.1')
  // Clients close what is idle. Were it the server, it might be while one of them sends.
  server.keepAliveTimeout = 0
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  await once(server, 'listening')
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

it('sends as many requests as it was asked for, each for an item of its own', async () => {
  const items = new Set<string>()
  const url = await serve(({ url: path = '' }, response) => {
    items.add(path)
    response.end(RIGHT)
  })
  const result = await sendLoad({ url, concurrency: 4, amount: { requests: 50 }, signal: never })
  expect(result).toMatchObject({ requests: 50, failed: 0, failures: [] })
  expect(items.size).toBe(50)
  expect(result.latency.p50).toBeLessThanOrEqual(result.latency.max)
})

it('counts what is not the chain’s answer, and says what it was', async () => {
  let count = 0
  const url = await serve((_, response) => {
    count++
    if (count % 2 === 0) response.end(RIGHT)
    else if (count % 4 === 1) response.end('something else')
    else response.writeHead(502).end('gone')
  })
  const result = await sendLoad({ url, concurrency: 1, amount: { requests: 8 }, signal: never })
  expect(result.failed).toBe(4)
  expect(result.failures).toEqual(['200 something else', '502 gone'])
})

it('counts requests that nobody answers', async () => {
  const url = await serve(({ socket }) => socket.destroy())
  const result = await sendLoad({ url, concurrency: 2, amount: { requests: 3 }, signal: never })
  expect(result.failed).toBe(3)
})

it('keeps to a rate, and ends when it is told to', async () => {
  const controller = new AbortController()
  let came = 0
  const url = await serve((_, response) => {
    if (++came === 50) controller.abort()
    response.end(RIGHT)
  })
  const load = { url, concurrency: 4, amount: { requests: 1_000_000 }, rate: 100 }
  const start = performance.now()
  const { requests, failed } = await sendLoad({ ...load, signal: controller.signal })
  expect(failed).toBe(0)
  // The fiftieth is due after 490 ms, however slow the machine.
  expect(performance.now() - start).toBeGreaterThan(480)
  // Each of the four may have begun one more.
  expect(requests).toBeGreaterThanOrEqual(50)
  expect(requests).toBeLessThanOrEqual(54)
})
