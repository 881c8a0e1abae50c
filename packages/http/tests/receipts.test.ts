import { once } from 'node:events'
import http from 'node:http'
import type http2 from 'node:http2'
import { text } from 'node:stream/consumers'
import type { KeySource } from '@kest/core'
import axios from 'axios'
import got from 'got'
import { describe, expect, it, onTestFinished } from 'vitest'
import {
  type SeenAnswer,
  type SendForReceipt,
  testHostileReceipts,
  testReceipts,
} from '../../../tests/outbound/receipt-suite.js'
import { CALLEE, receiptCaller, receiptFor, TRUST } from '../../../tests/outbound/receipts.js'
import { startHttp2Server, startServer } from '../../../tests/outbound/server.js'
import { uncaughtErrors } from '../../../tests/outbound/uncaught.js'
import { createKestAgent, patchHttp } from '../src/index.js'
import { http2Sessions } from './support/clients.js'

const root = { operation: 'root', policy: 'test', origin: 'system' } as const

/** The names in a list of names and values by turns. */
const namesIn = (raw: readonly unknown[]): string[] =>
  raw.filter((_, n) => n % 2 === 0).map((name) => String(name).toLowerCase())

/** One request by node:http; where it is answered with a redirect, and those are followed, the next. */
async function sendByHttp(
  url: string,
  method: string,
  follow: boolean,
  agent: http.Agent,
): Promise<SeenAnswer> {
  const request = http.request(url, { method, agent })
  const seen: string[] = []
  request.on('information', ({ headers, rawHeaders }) =>
    seen.push(...Object.keys(headers), ...namesIn(rawHeaders)),
  )
  request.end()
  const [response] = (await once(request, 'response')) as [http.IncomingMessage]
  const body = await text(response)
  const { headers, rawHeaders, trailers, rawTrailers, statusCode: status = 0 } = response
  if (follow && status === 302) return sendByHttp(headers.location ?? '', method, false, agent)
  const names = [headers, response.headersDistinct, trailers, response.trailersDistinct].flatMap(Object.keys)
  const raw = [...namesIn(rawHeaders), ...namesIn(rawTrailers)]
  return { status, names: [...seen, ...names, ...raw], body }
}

const byPatch: SendForReceipt = async (url, rule, method = 'GET') => {
  using _ = patchHttp(rule)
  const agent = new http.Agent({ keepAlive: true })
  try {
    return await sendByHttp(url, method, rule.redirects === 'follow', agent)
  } finally {
    agent.destroy()
  }
}

testReceipts('node:http with patchHttp', byPatch)
testHostileReceipts('node:http with patchHttp', byPatch)

testReceipts('node:http with createKestAgent', async (url, rule, method = 'GET') => {
  const agent = createKestAgent(new http.Agent({ keepAlive: true }), rule)
  try {
    return await sendByHttp(url, method, rule.redirects === 'follow', agent)
  } finally {
    agent.destroy()
  }
})

testReceipts('axios with createKestAgent', async (url, rule, method = 'GET') => {
  const httpAgent = createKestAgent(new http.Agent(), rule)
  const { status, headers, data } = await axios.request({
    url,
    method,
    httpAgent,
    adapter: 'http',
    proxy: false,
    responseType: 'text',
    validateStatus: () => true,
  })
  return { status, names: Object.keys(headers), body: data }
})

testReceipts('got with patchHttp', async (url, rule, method = 'GET') => {
  using _ = patchHttp(rule)
  const { statusCode, headers, rawHeaders, body } = await got(url, {
    method: method as 'GET',
    throwHttpErrors: false,
    retry: { limit: 0 },
  })
  return { status: statusCode, names: [...Object.keys(headers), ...namesIn(rawHeaders)], body }
})

async function sendByHttp2(
  url: string,
  method: string,
  follow: boolean,
  sessions: ReturnType<typeof http2Sessions>,
): Promise<SeenAnswer> {
  const { origin, pathname, search } = new URL(url)
  const stream = sessions.to(origin).request({ ':method': method, ':path': pathname + search })
  const names: string[] = []
  let [status, location] = [0, '']
  for (const event of ['headers', 'response', 'trailers'] as const)
    stream.on(event, (head: http2.IncomingHttpHeaders, _flags: number, raw?: unknown) => {
      names.push(...Object.keys(head), ...(Array.isArray(raw) ? namesIn(raw) : []))
      if (event === 'response') [status, location] = [Number(head[':status']), head.location ?? '']
    })
  const body = await text(stream)
  return follow && status === 302 ? sendByHttp2(location, method, false, sessions) : { status, names, body }
}

const byHttp2: SendForReceipt = async (url, rule, method = 'GET') => {
  using _ = patchHttp(rule)
  const sessions = http2Sessions()
  try {
    return await sendByHttp2(url, method, rule.redirects === 'follow', sessions)
  } finally {
    sessions.close()
  }
}

testReceipts('node:http2 with patchHttp', byHttp2, startHttp2Server)
testHostileReceipts('node:http2 with patchHttp', byHttp2, startHttp2Server)

describe('connections that are handed over', () => {
  it('K-RECEIPT an upgrade is refused before it is sent where receipts are required, and has none where they are accepted', async () => {
    for (const mode of ['require', 'accept'] as const) {
      const asked: unknown[] = []
      const server = await startServer()
      onTestFinished(() => server.close())
      const upgrading = http.createServer().on('upgrade', ({ headers }, socket) => {
        socket.on('error', () => {})
        void receiptFor(headers).then((one) => {
          asked.push(one)
          socket.end(
            `HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\nkest-receipt: ${one?.receipt}\r\n\r\n`,
          )
        })
      })
      upgrading.listen(0, '127.0.0.1')
      await once(upgrading, 'listening')
      onTestFinished(() => void upgrading.close())
      const origin = `http://127.0.0.1:${(upgrading.address() as { port: number }).port}`
      const { kest, receipts } = receiptCaller({ [origin]: CALLEE }, { mode })
      using _ = patchHttp({ kest, propagateTo: [origin] })
      await (await kest.begin(root)).run(async () => {
        const request = http.request(origin, { headers: { connection: 'upgrade', upgrade: 'x' } })
        request.end()
        const upgraded = once(request, 'upgrade')
        if (mode === 'require') await expect(upgraded).rejects.toMatchObject({ code: 'ERR_KEST_RECEIPT' })
        else {
          const [response, socket] = await upgraded
          expect(response.headers).not.toHaveProperty('kest-receipt')
          socket.destroy()
        }
      })
      expect([asked.length, receipts()]).toEqual([mode === 'require' ? 0 : 1, []])
    }
  })
})

/** Keys that are found when they are let go; until then whoever looks for them waits. */
function slowKeys() {
  let [reached, letGo] = [(): void => {}, (): void => {}]
  const asked = new Promise<void>((resolve) => {
    reached = resolve
  })
  const gate = new Promise<void>((resolve) => {
    letGo = resolve
  })
  const trust: KeySource = {
    ...TRUST,
    find: async (query) => {
      reached()
      await gate
      return TRUST.find(query)
    },
  }
  return { trust, asked, letGo }
}

describe('answers that are held', () => {
  /** A service that answers with receipts, and a caller that must have them. */
  async function holding(
    answer: (response: http.ServerResponse, receipt: string) => void,
    trust: KeySource = TRUST,
  ) {
    const hop2 = await startServer((received, response) => {
      void receiptFor(received.headers).then((asked) => answer(response, asked?.receipt ?? ''))
    })
    onTestFinished(() => hop2.close())
    const { kest, receipts } = receiptCaller({ [hop2.origin]: CALLEE }, { mode: 'require' }, { trust })
    return { hop2, kest, receipts, rule: { kest, propagateTo: [hop2.origin] } }
  }

  it('K-RECEIPT an answer that was complete, on a connection that is closed, is as whole as ever', async () => {
    const { hop2, kest, rule } = await holding((response, receipt) => {
      response.writeHead(200, { 'kest-receipt': receipt, connection: 'close' }).end('done')
    })
    using _ = patchHttp(rule)
    await (await kest.begin(root)).run(async () => {
      const request = http.get(hop2.origin, { agent: false })
      const events: string[] = []
      for (const name of ['response', 'error', 'close']) request.on(name, () => events.push(name))
      const [response] = await once(request, 'response')
      expect(await text(response)).toBe('done')
      await expect.poll(() => events).toEqual(['response', 'close'])
    })
  })

  it('K-RECEIPT an answer that was complete is as whole as ever, also where its connection is closed before it was looked at', async () => {
    const { trust, asked, letGo } = slowKeys()
    const { hop2, kest, rule } = await holding((response, receipt) => {
      response.writeHead(200, { 'kest-receipt': receipt, connection: 'close' }).end('done')
    }, trust)
    using _ = patchHttp(rule)
    await (await kest.begin(root)).run(async () => {
      const request = http.get(hop2.origin, { agent: false })
      const answered = once(request, 'response')
      await asked
      await expect.poll(() => request.destroyed, { timeout: 20_000 }).toBe(true)
      letGo()
      const [response] = await answered
      expect(await text(response)).toBe('done')
    })
  })

  it('K-RECEIPT an answer is told no more to who has left, though it was complete', async () => {
    const { trust, asked, letGo } = slowKeys()
    const { hop2, kest, rule } = await holding((response, receipt) => {
      response.writeHead(200, { 'kest-receipt': receipt }).end('done')
    }, trust)
    using _ = patchHttp(rule)
    await (await kest.begin(root)).run(async () => {
      const request = http.get(hop2.origin, { agent: false })
      const events: string[] = []
      for (const name of ['response', 'error', 'close']) request.on(name, () => events.push(name))
      await asked
      request.destroy()
      letGo()
      await expect.poll(() => events, { timeout: 20_000 }).toEqual(['error', 'close'])
    })
  })

  it('K-RECEIPT a refused answer is told once, and its request is over', async () => {
    const { hop2, kest, rule, receipts } = await holding((response) => {
      response.writeHead(200, { 'kest-receipt': 'of.somebody.else' }).end('done')
    })
    using _ = patchHttp(rule)
    const agent = new http.Agent({ keepAlive: true })
    await (await kest.begin(root)).run(async () => {
      const request = http.get(hop2.origin, { agent })
      const events: string[] = []
      for (const name of ['response', 'error', 'close']) request.on(name, () => events.push(name))
      await expect.poll(() => events).toEqual(['error', 'close'])
    })
    expect(receipts()).toEqual([])
    agent.destroy()
  })

  it('K-RECEIPT a listener that throws keeps nobody from the rest of the answer: node:http2', async () => {
    const hop2 = await startHttp2Server((received, response) => {
      void receiptFor(received.headers).then((asked) =>
        response.writeHead(200, { 'kest-receipt': asked?.receipt ?? '' }).end('done'),
      )
    })
    onTestFinished(() => hop2.close())
    const { trust, asked, letGo } = slowKeys()
    const { kest } = receiptCaller({ [hop2.origin]: CALLEE }, { mode: 'require' }, { trust })
    using _ = patchHttp({ kest, propagateTo: [hop2.origin] })
    const errors = uncaughtErrors()
    const sessions = http2Sessions()
    await (await kest.begin(root)).run(async () => {
      const stream = sessions.to(hop2.origin).request({ ':path': '/' })
      stream.on('response', () => {
        throw new Error('a listener’s own')
      })
      const body = text(stream)
      await asked
      // What was sent before this is answered has come.
      await new Promise<void>((resolve) => sessions.to(hop2.origin).ping(() => resolve()))
      letGo()
      expect(await body).toBe('done')
    })
    expect(errors).toEqual([new Error('a listener’s own')])
    sessions.close()
  })

  it('K-RECEIPT a listener that throws keeps nobody from hearing that the request is over: node:http', async () => {
    const { trust, asked, letGo } = slowKeys()
    const { hop2, kest, rule } = await holding((response, receipt) => {
      response.writeHead(200, { 'kest-receipt': receipt, connection: 'close' }).end('done')
    }, trust)
    using _ = patchHttp(rule)
    const errors = uncaughtErrors()
    await (await kest.begin(root)).run(async () => {
      const request = http.get(hop2.origin, { agent: false })
      request.on('response', (response) => {
        response.resume()
        throw new Error('a listener’s own')
      })
      const closed = once(request, 'close')
      await asked
      await expect.poll(() => request.socket?.destroyed, { timeout: 20_000 }).toBe(true)
      letGo()
      await closed
    })
    expect(errors).toEqual([new Error('a listener’s own')])
  })
})
