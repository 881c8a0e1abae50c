import { once } from 'node:events'
import type { Socket } from 'node:net'
import websocket from '@fastify/websocket'
import type { FastifyInstance } from 'fastify'
import { describe, expect, it, onTestFinished } from 'vitest'
import { WebSocket } from 'ws'
import { type KestFastifyOptions, kestFastify } from '../src/index.js'
import { deferred } from './support/deferred.js'
import { connected } from './support/raw.js'
import { createApp, lineage, World } from './support/world.js'

const UPGRADES = 20

/** An upgrade as a client without a library would ask for it, with what it hurries to send behind. */
function upgrade(path: string, lines: readonly string[] = []): string {
  return [
    `GET ${path} HTTP/1.1`,
    'Host: localhost',
    'Connection: Upgrade',
    'Upgrade: websocket',
    'Sec-WebSocket-Version: 13',
    'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==',
    ...lines,
    '',
    '',
  ].join('\r\n')
}

interface TestApp {
  readonly app: FastifyInstance
  readonly address: string
  /** Connections that the server still has. */
  open(): number
}

async function chat(order: string, world = new World(), options: KestFastifyOptions = {}): Promise<TestApp> {
  const app = createApp({ forceCloseConnections: false })
  const plugins = { kest: kestFastify, websocket } as const
  for (const name of order.split(', ') as (keyof typeof plugins)[]) {
    if (name === 'kest') await app.register(kestFastify, { kest: world.kest, ...options })
    else await app.register(websocket)
  }
  app.get('/chat', { config: { kest: { policy: 'test' } }, websocket: true }, (socket) => {
    socket.on('message', (message) => socket.send(`echo ${message}`))
  })
  app.get('/plain', { config: { kest: { policy: 'test' } } }, async () => 'plain')
  const sockets = new Set<Socket>()
  app.server.on('connection', (socket) => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
  })
  const address = await app.listen({ host: '127.0.0.1', port: 0 })
  return { app, address, open: () => sockets.size }
}

describe.each(['kest, websocket', 'websocket, kest'])('an upgrade, plugins in the order %s', (order) => {
  it.each([
    ['/chat', 'lineage is missing', {}, true],
    ['/plain', 'lineage is missing', {}, true],
    ['/nothing', 'lineage is missing', {}, true],
    ['/nothing', 'no route is there', { origin: 'user_input' }, true],
    ['/chat', 'a policy denies it', { origin: 'user_input' }, false],
  ] as const)(
    'to %s that is refused as %s leaves no connection behind',
    async (path, _why, options, allow) => {
      const { app, address, open } = await chat(order, new World(allow), options)
      const sockets = await Promise.all(Array.from({ length: UPGRADES }, () => connected(address)))
      onTestFinished(() => {
        for (const socket of sockets) socket.destroy()
      })
      const answers = sockets.map(async (socket) => {
        socket.write(upgrade(path))
        let answer = ''
        for await (const chunk of socket) answer += chunk
        return answer
      })
      for (const answer of await Promise.all(answers)) {
        expect(answer).toMatch(/^HTTP\/1\.1 40[34] /)
        expect(answer).toMatch(/\r\nconnection: close\r\n/i)
      }
      await expect.poll(open).toBe(0)
      await app.close()
    },
  )

  it('that is refused is answered to a client of the ws library', async () => {
    const { app, address } = await chat(order)
    const client = new WebSocket(`${address.replace('http', 'ws')}/chat`)
    const [, response] = await once(client, 'unexpected-response')
    expect(response.statusCode).toBe(403)
    expect(response.headers['content-type']).toBe('application/problem+json')
    client.on('error', () => undefined).terminate()
    await app.close()
  })

  it('that is let in is one operation, and its messages pass', async () => {
    const world = new World()
    const { app, address } = await chat(order, world)
    const client = new WebSocket(`${address.replace('http', 'ws')}/chat`, { headers: await lineage() })
    await once(client, 'open')
    client.send('hello')
    const [message] = await once(client, 'message')
    expect(String(message)).toBe('echo hello')
    expect(world.signed()).toEqual(['GET /chat'])
    client.close()
    await once(client, 'close')
    await app.close()
  })

  it('whose client resets the connection while it is decided ends without a trace', async () => {
    const asked = deferred()
    const decision = deferred<boolean>()
    const world = new World(() => {
      asked.resolve()
      return decision.promise
    })
    const { app, address, open } = await chat(order, world, { origin: 'user_input' })
    const socket = await connected(address)
    socket.on('error', () => undefined).write(upgrade('/chat'))
    await asked.promise
    socket.resetAndDestroy()
    decision.resolve(false)
    await expect.poll(open).toBe(0)
    await app.close()
  })
})
