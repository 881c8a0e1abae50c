import { EventEmitter, once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import http2 from 'node:http2'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { afterEach, describe, expect, it } from 'vitest'
import type { KestError } from '../errors.js'
import { until } from '../testing/inbound-world.js'
import { bodyOf } from './body.js'

const ends: (() => unknown)[] = []
afterEach(() => Promise.all(ends.splice(0).map((end) => end())))

type Handler = (request: IncomingMessage, response: ServerResponse) => Promise<void>

async function serving(handler: Handler, server: Server = createServer()): Promise<number> {
  server.on('request', handler)
  server.listen(0, '127.0.0.1')
  ends.push(() => {
    server.closeAllConnections?.()
    server.close()
  })
  await once(server, 'listening')
  return (server.address() as AddressInfo).port
}

function connected(port: number): Socket {
  const socket = connect(port, '127.0.0.1').setEncoding('latin1')
  socket.on('error', () => undefined)
  ends.push(() => socket.destroy())
  return socket
}

/** Reads ahead, then reads as an application does. */
const twice =
  (maxBytes = 1 << 20): Handler =>
  async (request, response) => {
    let ahead: string
    try {
      ahead = Buffer.concat(await bodyOf(request, response)!(maxBytes)).toString()
    } catch (error) {
      response.writeHead(403).end((error as KestError).code)
      return
    }
    response.end(`${ahead.length} ${(await text(request)) === ahead}`)
  }

describe('the body of a request that is read ahead', () => {
  it.each([
    ['none', undefined, '0 true'],
    ['one', 'order', '5 true'],
    ['a long one', 'x'.repeat(900_000), '900000 true'],
  ])('is there for whoever reads it afterwards: %s', async (_, body, answer) => {
    const port = await serving(twice())
    const response = await fetch(`http://127.0.0.1:${port}/`, { method: 'POST', body: body ?? null })
    expect(await response.text()).toBe(answer)
  })

  it('is there when it comes in chunks, slowly, an empty one too', async () => {
    const port = await serving(twice())
    const socket = connected(port)
    let answers = ''
    socket.on('data', (chunk) => {
      answers += chunk
    })
    const head = 'POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n'
    socket.write(`${head}0\r\n\r\n`)
    await until(() => answers.includes('0 true'), 'the answer to an empty body')
    for (const piece of [head, '3\r\nabc\r\n', '2\r\nde\r\n', '0\r\n\r\n']) {
      socket.write(piece)
      await new Promise((resolve) => setImmediate(resolve))
    }
    await until(() => answers.includes('5 true'), 'the answer to a body in pieces')
  })

  it('is kept in few pieces, however many it comes in', async () => {
    const pieces = 3_000
    const body = new Readable({ read() {} })
    const request = Object.assign(body, { headers: {} }) as unknown as IncomingMessage
    const response = Object.assign(new EventEmitter(), { writableEnded: false }) as ServerResponse
    const reading = bodyOf(request, response)!(1 << 20)
    for (let n = 0; n < pieces; n++) {
      body.push(n % 2 === 0 ? 'a' : 'b')
      // Each is read for itself.
      await new Promise((resolve) => setImmediate(resolve))
    }
    body.push(null)
    const read = await reading
    expect(read.length).toBeLessThan(10)
    expect(Buffer.concat(read).toString()).toBe('ab'.repeat(pieces / 2))
    expect(await text(body)).toBe('ab'.repeat(pieces / 2))
  })

  it('is there over HTTP/2, with and without one', async () => {
    const server = http2.createServer() as unknown as Server
    const port = await serving(twice(), server)
    const session = http2.connect(`http://127.0.0.1:${port}`)
    ends.unshift(() => session.destroy())
    const send = async (body: string | undefined): Promise<string> => {
      const stream = session.request({ ':method': 'POST', ':path': '/' }, { endStream: body === undefined })
      if (body !== undefined) stream.end(body)
      return text(stream)
    }
    expect(await send(undefined)).toBe('0 true')
    expect(await send('')).toBe('0 true')
    expect(await send('order')).toBe('5 true')
    expect(await send('x'.repeat(300_000))).toBe('300000 true')
  })

  it('is asked for where it waits for 100 Continue', async () => {
    const socket = connected(await serving(twice()))
    let answer = ''
    socket.on('data', (chunk) => {
      answer += chunk
    })
    socket.write('POST / HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 5\r\n\r\n')
    await until(() => answer.includes('100 Continue'), '100 Continue')
    socket.write('order')
    await until(() => answer.includes('5 true'), 'the answer')
  })

  it('is refused when it is longer than its bound, and the next request on its connection is answered', async () => {
    const socket = connected(await serving(twice(1000)))
    let answers = ''
    socket.on('data', (chunk) => {
      answers += chunk
    })
    const length = 400_000
    const chunked = 'POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n'
    socket.write(`${chunked}${length.toString(16)}\r\n${'x'.repeat(length)}\r\n0\r\n\r\n`)
    socket.write(`POST / HTTP/1.1\r\nhost: x\r\ncontent-length: ${length}\r\n\r\n${'x'.repeat(length)}`)
    socket.write('POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\norder')
    await until(() => answers.includes('5 true'), 'the answer to the last')
    expect(answers.match(/ERR_KEST_BINDING|5 true/g)).toEqual([
      'ERR_KEST_BINDING',
      'ERR_KEST_BINDING',
      '5 true',
    ])
  })

  it('of which too much came can still be read by who is told to go on', async () => {
    const port = await serving(async (request, response) => {
      const failed = await Promise.resolve(bodyOf(request, response)!(10)).then(
        () => 'read',
        () => 'refused',
      )
      response.end(`${failed} ${(await text(request)).length}`)
    })
    const body = new ReadableStream({
      start(controller) {
        for (let n = 0; n < 50; n++) controller.enqueue(Buffer.alloc(1000))
        controller.close()
      },
    })
    const response = await fetch(`http://127.0.0.1:${port}/`, {
      method: 'POST',
      body,
      duplex: 'half',
    } as RequestInit)
    expect(await response.text()).toBe('refused 50000')
  })

  it('can be handed on whole, to a fetch', async () => {
    const upstream = await serving(async (request, response) => void response.end(await text(request)))
    const port = await serving(async (request, response) => {
      await bodyOf(request, response)!(1000)
      const init = { method: 'POST', body: request, duplex: 'half' } as unknown as RequestInit
      response.end(
        `${request.readableDidRead} ${await (await fetch(`http://127.0.0.1:${upstream}/`, init)).text()}`,
      )
    })
    const response = await fetch(`http://127.0.0.1:${port}/`, { method: 'POST', body: 'order' })
    expect(await response.text()).toBe('false order')
  })

  it('is given up when its sender leaves', async () => {
    let code: string | undefined
    const port = await serving(async (request, response) => {
      await Promise.resolve(bodyOf(request, response)!(1000)).catch((error) => {
        code = error.code
      })
    })
    const socket = connected(port)
    socket.write('POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 50\r\n\r\nord', () => socket.destroy())
    await until(() => code !== undefined, 'the sender to be missed')
    expect(code).toBe('ERR_KEST_ABORTED')
  })

  it('is said to be gone where somebody has read it before, or as text', async () => {
    const codes: unknown[] = []
    const readsFirst = [
      async (request: IncomingMessage) => void (await text(request)),
      async (request: IncomingMessage) => void request.resume(),
      async (request: IncomingMessage) => void request.setEncoding('utf8'),
    ]
    const port = await serving(async (request, response) => {
      await readsFirst[Number(request.url?.slice(1))]?.(request)
      await Promise.resolve(bodyOf(request, response)!(1000)).catch((error) => codes.push(error.code))
      response.end()
    })
    for (const n of readsFirst.keys())
      await (await fetch(`http://127.0.0.1:${port}/${n}`, { method: 'POST', body: 'order' })).text()
    expect(codes).toEqual(['ERR_KEST_CONFIG', 'ERR_KEST_CONFIG', 'ERR_KEST_CONFIG'])
  })

  it('is none where a connection is upgraded', async () => {
    const server = createServer()
    const length = new Promise((resolve) => {
      server.on('upgrade', async (request: IncomingMessage, socket: Socket) => {
        const chunks = await bodyOf(request, { writableEnded: false } as never)!(1000)
        socket.destroy()
        resolve(chunks.length)
      })
    })
    const port = await serving(async () => {}, server)
    connected(port).write(
      'GET / HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\nframes',
    )
    expect(await length).toBe(0)
  })

  it('is read once, however often it is asked for, and not where there is no stream', async () => {
    const port = await serving(async (request, response) => {
      const read = bodyOf(request, response)!
      const [one, other] = [await read(1000), await read(1000)]
      response.end(String(one === other))
    })
    expect(await (await fetch(`http://127.0.0.1:${port}/`, { method: 'POST', body: 'x' })).text()).toBe(
      'true',
    )
    expect(bodyOf({ headers: {} }, {} as never)).toBeUndefined()
  })
})
