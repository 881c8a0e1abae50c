import { once } from 'node:events'
import { createServer, ServerResponse } from 'node:http'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { MockPolicyEngine } from '@kest/core/testing'
import { describe, expect, it, onTestFinished } from 'vitest'
import { WebSocket, WebSocketServer } from 'ws'
import { kestExpress, protect } from '../src/index.js'
import { createService } from './support/kest.js'
import { MAJORS } from './support/majors.js'

const UPGRADE = [
  'Host: localhost',
  'Connection: Upgrade',
  'Upgrade: websocket',
  'Sec-WebSocket-Version: 13',
  'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==',
].join('\r\n')

describe.each(MAJORS)('an upgrade that goes through Express $major, as the manual says', ({ express }) => {
  async function chat(allow: boolean, origin?: string) {
    const { kest, engine } = createService({ engine: new MockPolicyEngine(allow) })
    const app = express()
    const sockets = new WebSocketServer({ noServer: true })
    app.use(kestExpress({ kest, origin }))
    app.get('/chat', protect({ policy: 'chat' }), (req) => {
      sockets.handleUpgrade(req, req.socket, Buffer.alloc(0), (socket) => {
        socket.on('message', (message) => socket.send(`echo ${message}`))
      })
    })
    const server = createServer(app)
    server.on('upgrade', (req, socket, head) => {
      socket.unshift(head)
      const res = new ServerResponse(req)
      try {
        res.assignSocket(socket as Socket)
      } catch {
        socket.destroy()
        return
      }
      app(req, res)
    })
    const open = new Set<Socket>()
    server.on('connection', (socket) => {
      open.add(socket)
      socket.once('close', () => open.delete(socket))
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    onTestFinished(() => void server.close())
    return { server, open, engine, port: (server.address() as AddressInfo).port }
  }

  it.each([
    ['/chat', 403, true, undefined],
    ['/nothing', 403, true, undefined],
    ['/nothing', 404, true, 'internet'],
    ['/chat', 403, false, 'internet'],
  ] as const)(
    'to %s that is answered %i leaves no connection behind',
    async (path, status, allow, origin) => {
      const { port, open, server } = await chat(allow, origin)
      const answers = Array.from({ length: 20 }, async () => {
        const socket = connect(port, '127.0.0.1').setEncoding('latin1')
        onTestFinished(() => void socket.destroy())
        socket.write(`GET ${path} HTTP/1.1\r\n${UPGRADE}\r\n\r\n`)
        let answer = ''
        for await (const chunk of socket) answer += chunk
        return answer
      })
      for (const answer of await Promise.all(answers)) {
        expect(answer).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `))
        expect(answer).toMatch(/\r\nconnection: close\r\n/i)
      }
      await expect.poll(() => open.size).toBe(0)
      await new Promise((resolve) => server.close(resolve))
    },
  )

  it('behind a request that has no answer yet closes the connection', async () => {
    const { port, open } = await chat(true, 'internet')
    const socket = connect(port, '127.0.0.1').setEncoding('latin1')
    onTestFinished(() => void socket.destroy())
    socket.write(`GET /nothing HTTP/1.1\r\nHost: a\r\n\r\nGET /chat HTTP/1.1\r\n${UPGRADE}\r\n\r\n`)
    await once(socket.resume(), 'close')
    await expect.poll(() => open.size).toBe(0)
  })

  it('and is let in is one operation', async () => {
    const { port, engine } = await chat(true, 'internet')
    const client = new WebSocket(`ws://127.0.0.1:${port}/chat`)
    await once(client, 'open')
    client.send('hello')
    expect(String((await once(client, 'message'))[0])).toBe('echo hello')
    expect(engine.requests.map(({ policies }) => policies)).toEqual([['chat']])
    client.close()
    await once(client, 'close')
  })
})
