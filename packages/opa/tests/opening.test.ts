import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, it, onTestFinished } from 'vitest'
import { OPAPolicyEngine } from '../src/index.js'
import { requestOf } from './support/context.js'

const TIMEOUT_MS = 300
/** Undici would hold on for ten. */
const SOON_MS = 8_000

it('gives a connection up that is not open in the time of a question, so that its place is free for the next', async () => {
  // It accepts, and shakes no hands: as what is sent to an address that OPA has left, it comes to nothing.
  const opened: Socket[] = []
  const server = createServer((socket) => {
    socket.on('error', () => {}).resume()
    opened.push(socket)
  }).listen(0, '127.0.0.1')
  onTestFinished(() => {
    for (const socket of opened) socket.destroy()
    server.close()
  })
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const url = `https://127.0.0.1:${port}`
  const engine = new OPAPolicyEngine({ url, connections: 1, timeoutMs: TIMEOUT_MS })
  onTestFinished(() => engine.close())

  const ask = () => engine.evaluate(requestOf('orders/read'), new AbortController())
  await expect(ask()).rejects.toMatchObject({ code: 'ERR_KEST_ENGINE_TIMEOUT' })
  await expect.poll(() => opened.length).toBe(1)
  const [first] = opened as [Socket]
  if (!first.destroyed)
    expect(await Promise.race([once(first, 'close'), sleep(SOON_MS, 'held on to')])).toEqual([false])

  await expect(ask()).rejects.toMatchObject({ code: 'ERR_KEST_ENGINE_TIMEOUT' })
  await expect.poll(() => opened.length).toBe(2)
})
