import { execFile } from 'node:child_process'
import { once } from 'node:events'
import http from 'node:http'
import http2, { type ClientHttp2Session, type ClientHttp2Stream } from 'node:http2'
import net, { type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import got from 'got'
import { Agent, request } from 'undici'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { servedTo, startAccounts } from '../../../tests/outbound/accounts.js'
import { redirecting, showsKest, startHttp2Server, type TestServer } from '../../../tests/outbound/server.js'
import { caller, kest, operationsIn, within } from '../../../tests/outbound/services.js'
import { markWritten } from '../../core/dist/index.js'
import { RecordingLogger } from '../../core/dist/testing/index.js'
import { withKest } from '../../undici/dist/index.js'
import { type PropagationRule, patchHttp, type Unpatch } from '../src/index.js'
import { certificate } from './support/certificate.js'
import { sendStream } from './support/clients.js'

const IMPORTERS = fileURLToPath(new URL('./support/http2-importers.mjs', import.meta.url))
const NODE = Number(process.versions.node.split('.')[0])
const native = { connect: http2.connect, own: Object.getOwnPropertyNames(http2.connect) }

let hop2: TestServer
let stranger: TestServer
let unpatch: Unpatch
const sessions: ClientHttp2Session[] = []
beforeAll(async () => {
  hop2 = await startHttp2Server(redirecting())
  stranger = await startHttp2Server(redirecting())
})
beforeEach(() => patch())
afterEach(() => {
  unpatch()
  for (const session of sessions.splice(0)) session.destroy()
  hop2.received.length = 0
  stranger.received.length = 0
})
afterAll(() => Promise.all([hop2.close(), stranger.close()]))

function patch(rule: Partial<PropagationRule> = {}): void {
  unpatch?.()
  unpatch = patchHttp({ kest, propagateTo: [hop2.origin], ...rule })
}

function keep(session: ClientHttp2Session): ClientHttp2Session {
  session.on('error', () => {})
  sessions.push(session)
  return session
}

const connect = (origin: string, options: object = {}): ClientHttp2Session =>
  keep(http2.connect(origin, options))
const port = ({ origin }: TestServer): number => Number(new URL(origin).port)
const arrived = () => Promise.all(hop2.received.map(({ headers }) => operationsIn(headers)))

const warnings = ({ records }: RecordingLogger) =>
  records.filter(({ level }) => level === 'warn').map(({ details }) => details)

async function answerOf(stream: ClientHttp2Stream): Promise<string> {
  return text(stream)
}

describe('patchHttp and node:http2', () => {
  it('F-CP-03 carries the passport of whoever asks for a stream, whoever opened the session', async () => {
    const session = await within('opener', async () => {
      const opened = connect(hop2.origin)
      await sendStream(opened, '/opener')
      return opened
    })
    await Promise.all(['alice', 'bob'].map((user) => within(user, () => sendStream(session, `/${user}`))))
    await sendStream(session, '/nobody')
    for (const { url, headers } of hop2.received) {
      const expected = url === '/nobody' ? [] : [url.slice(1)]
      expect([url, showsKest({ headers } as never) ? await operationsIn(headers) : []]).toEqual([
        url,
        expected,
      ])
    }
    expect(hop2.received).toHaveLength(4)
  })

  it('K-AMBIENT streams that were asked for before the session was connected are each of whoever asked', async () => {
    const session = await within('opener', () => connect(hop2.origin))
    await Promise.all(['alice', 'bob'].map((user) => within(user, () => sendStream(session, `/${user}`))))
    const seen = await Promise.all(
      hop2.received.map(async ({ url, headers }) => [url, await operationsIn(headers)]),
    )
    expect(seen.sort()).toEqual([
      ['/alice', ['alice']],
      ['/bob', ['bob']],
    ])
  })

  it.each<[string, (origin: string) => Promise<ClientHttp2Session>]>([
    ['a URL', async (origin) => http2.connect(new URL(origin))],
    ['a listener', (origin) => new Promise<ClientHttp2Session>((resolve) => http2.connect(origin, resolve))],
    [
      'options and a listener',
      (origin) => new Promise<ClientHttp2Session>((resolve) => http2.connect(origin, {}, resolve)),
    ],
    ['promisify', (origin) => promisify(http2.connect)(origin) as Promise<ClientHttp2Session>],
    [
      'parts of a URL',
      async (origin) => {
        const { protocol, hostname, port } = new URL(origin)
        return http2.connect({ protocol, hostname, port } as URL)
      },
    ],
  ])('F-CP-03 K-SCOPE is connected by %s', async (_, open) => {
    for (const { origin } of [hop2, stranger]) {
      const session = keep(await open(origin))
      await within('orders.list', () => sendStream(session, '/x'))
    }
    expect(await arrived()).toEqual([['orders.list']])
    expect(stranger.received.map(showsKest)).toEqual([false])
  })

  it('takes headers of any form, changes nothing of what it is given, and keeps what is sensitive', async () => {
    const session = connect(hop2.origin)
    const headers = Object.freeze({
      ':path': '/x',
      Baggage: ['kest.user=eve', 'a=1'],
      cookie: 'secret',
      [http2.sensitiveHeaders]: ['cookie'],
    })
    const sent = await within('orders.list', async () => {
      const streams = [session.request(headers), session.request()]
      await Promise.all(streams.map(answerOf))
      return streams.map(({ sentHeaders }) => sentHeaders)
    })
    expect(Reflect.get(sent[0] ?? {}, http2.sensitiveHeaders)).toEqual(['cookie'])
    expect(await arrived()).toEqual([['orders.list'], ['orders.list']])
    expect(hop2.received[0]?.headers['baggage']).toMatch(/^kest\.passport=[^,]+,kest\.chain_tip=\w+,a=1$/)
    expect(() => session.request(null as never)).toThrow(
      expect.objectContaining({ code: 'ERR_INVALID_ARG_TYPE' }),
    )
  })

  it.skipIf(NODE < 24)('takes headers that are a list', async () => {
    for (const { origin } of [hop2, stranger]) {
      const list = [
        ':path',
        '/x',
        'Baggage',
        'kest.user=eve',
        'baggage',
        'a=1',
        'x-twice',
        '1',
        'x-twice',
        '2',
      ]
      await within('orders.list', () => answerOf(connect(origin).request(list as never)))
    }
    expect(await arrived()).toEqual([['orders.list']])
    expect(stranger.received.map(({ headers }) => [headers['baggage'], headers['x-twice']])).toEqual([
      ['a=1', '1, 2'],
    ])
  })

  it('an aborted stream is aborted, and others on its session go on', async () => {
    const session = connect(hop2.origin)
    const controller = new AbortController()
    await within('orders.list', async () => {
      const left = sendStream(session, '/left', { method: 'POST', signal: controller.signal })
      controller.abort()
      await expect(left).rejects.toMatchObject({ name: 'AbortError' })
      await sendStream(session, '/after')
    })
    expect(hop2.received.at(-1)?.url).toBe('/after')
  })

  it('what Node refuses it refuses, and nothing else is done', async () => {
    const session = connect(hop2.origin)
    const wrong = [{ ':no-such': 'x' }, { ':method': 'CONNECT' }]
    await within('orders.list', () => {
      for (const headers of wrong) {
        const code = expect.stringMatching(/^ERR_HTTP2/)
        expect(() => session.request(headers)).toThrow(expect.objectContaining({ code }))
      }
    })
  })
})

describe('K-SCOPE a stream of HTTP/2 is judged by where its session goes', () => {
  const at = (server: TestServer) => ({ host: '127.0.0.1', port: port(server) })

  it('to where its options say, whatever its authority is', async () => {
    await within('orders.list', async () => {
      await sendStream(connect(hop2.origin, at(stranger)), '/x')
      await sendStream(connect(stranger.origin, at(hop2)), '/x')
    })
    expect(stranger.received.map(showsKest)).toEqual([false])
    expect(await arrived()).toEqual([['orders.list']])
  })

  it('and whatever :authority, :scheme and host say', async () => {
    const { host } = new URL(hop2.origin)
    await within('orders.list', () =>
      sendStream(connect(stranger.origin), '/x', {
        headers: { ':authority': host, ':scheme': 'http', host },
      }),
    )
    expect(stranger.received.map(showsKest)).toEqual([false])
  })

  it('a socket path is no origin', async () => {
    patch({ propagateTo: [hop2.origin, 'http://localhost'] })
    const path = join(tmpdir(), `kest-http2-${process.pid}.sock`)
    const sidecar = net.createServer((socket) => socket.pipe(net.connect(port(stranger))).pipe(socket))
    sidecar.listen(path)
    await once(sidecar, 'listening')
    await within('orders.list', () => sendStream(connect('http://localhost', { path }), '/x'))
    expect(stranger.received.map(showsKest)).toEqual([false])
    sessions.at(-1)?.destroy()
    sidecar.close()
  })

  it('a rule that is a function sees the path', async () => {
    const asked: string[] = []
    patch({ propagateTo: ({ href }) => asked.push(href) > 0 })
    await within('orders.list', () => sendStream(connect(hop2.origin), '/orders?id=1'))
    expect(asked).toEqual([`${hop2.origin}/orders?id=1`])
  })

  it('over TLS as well, and by a name that the certificate need not have', async () => {
    const identity = await certificate()
    const secure = await startHttp2Server(undefined, identity)
    patch({ propagateTo: [secure.origin] })
    const session = connect(secure.origin, {
      ca: identity.cert,
      servername: 'elsewhere',
      checkServerIdentity() {},
    })
    await within('orders.list', () => sendStream(session, '/x'))
    expect(secure.received.map(showsKest)).toEqual([true])
    session.destroy()
    await secure.close()
  })

  it('what is asked of a proxy as a tunnel carries nothing, and loses what is ours', async () => {
    const heard: unknown[] = []
    const proxy = http2.createServer()
    proxy.on('stream', (stream, { baggage }) => {
      heard.push(baggage)
      stream.respond()
      stream.end()
    })
    proxy.listen(0, '127.0.0.1')
    await once(proxy, 'listening')
    const origin = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`
    patch({ propagateTo: [origin] })
    const session = connect(origin)
    await within('orders.list', () =>
      answerOf(
        session
          .request({ ':method': 'CONNECT', ':authority': 'hop2:443', baggage: 'kest.user=eve,a=1' })
          .end(),
      ),
    )
    expect(heard).toEqual(['a=1'])
    session.destroy()
    proxy.close()
  })
})

describe('K-REDIRECT over HTTP/2', () => {
  const to = (url: string) => `/to?${encodeURIComponent(url)}`

  /** Follows in the listener of the answer, as clients do. */
  const following = (from: TestServer, target: string, follow: (url: URL) => Promise<unknown>) =>
    new Promise((resolve, reject) => {
      const stream = connect(from.origin).request({ ':path': to(target) })
      stream.on('error', reject).resume()
      stream.on('response', ({ location }) => {
        Promise.resolve()
          .then(() => follow(new URL(String(location), from.origin)))
          .then(resolve, reject)
      })
    })
  const byStream = (url: URL) => sendStream(connect(url.origin), url.pathname)

  it('none is followed with a passport, from ours or from a stranger, on whichever session', async () => {
    for (const from of [hop2, stranger]) {
      const followed = within('op', () => following(from, `${hop2.origin}/end`, byStream))
      await expect(followed).rejects.toMatchObject({ code: 'ERR_KEST_OUTBOUND' })
    }
    expect(hop2.received.filter(({ url }) => url === '/end')).toEqual([])
  })

  it('nor by another of Node’s protocols', async () => {
    const target = http.createServer((_, response) => void response.end())
    target.listen(0, '127.0.0.1')
    await once(target, 'listening')
    const origin = `http://127.0.0.1:${(target.address() as AddressInfo).port}`
    patch({ propagateTo: [hop2.origin, origin] })
    const byRequest = (url: URL) => once(http.get(url), 'response')
    await expect(within('op', () => following(hop2, `${origin}/end`, byRequest))).rejects.toMatchObject({
      code: 'ERR_KEST_OUTBOUND',
    })
    target.close()
  })

  it('to a stranger it is followed without, and with redirects: follow each is judged by itself', async () => {
    await within('op', () => following(hop2, `${stranger.origin}/end`, byStream))
    expect(stranger.received.map(showsKest)).toEqual([false])
    patch({ redirects: 'follow' })
    await within('op', () => following(stranger, `${hop2.origin}/end`, byStream))
    expect(hop2.received.filter(({ url }) => url === '/end').map(showsKest)).toEqual([true])
  })
})

describe('K-AMBIENT sessions that a library shares', () => {
  /** As libraries connect that keep a pool. */
  const shared = (origin: string): ClientHttp2Session =>
    connect(origin, { createConnection: () => net.connect(Number(new URL(origin).port), '127.0.0.1') })

  it('get nothing added, lose what is ours, and somebody is told', async () => {
    const logger = new RecordingLogger()
    patch({ kest: caller({ logger }) })
    const headers = { baggage: 'kest.user=eve,a=1' }
    await within('orders.list', () => sendStream(shared(hop2.origin), '/x', { headers }))
    expect(hop2.received.map((received) => received.headers['baggage'])).toEqual(['a=1'])
    expect(warnings(logger)).toMatchObject([{ origin: hop2.origin }])
  })

  it('K-RPC what Kest has written for another adapter stays, and nothing that is written beside it', async () => {
    for (const { origin } of [hop2, stranger]) {
      for (const baggage of [
        markWritten('kest.passport=x'),
        [markWritten('kest.passport=x'), 'kest.user=eve,a=1'],
      ]) {
        await within('orders.list', () => sendStream(shared(origin), '/x', { headers: { baggage } }))
      }
    }
    const sent = ['kest.passport=x', 'kest.passport=x,a=1']
    for (const { received } of [hop2, stranger])
      expect(received.map(({ headers }) => headers['baggage'])).toEqual(sent)
  })

  it('those of undici are not touched: what another adapter of Kest puts there arrives', async () => {
    const identity = await certificate()
    const accounts = await startAccounts(false, (answer) => startHttp2Server(answer, identity))
    const logger = new RecordingLogger()
    const rule = { kest: caller({ logger }), propagateTo: [accounts.origin] }
    patch(rule)
    const agent = new Agent({ allowH2: true, connections: 1, connect: { ca: identity.cert } })
    const dispatcher = withKest(agent, rule)
    const users = ['alice', 'bob', null]
    const seen = await Promise.all(
      users.map((user) =>
        servedTo(user, async () => (await request(`${accounts.origin}/x`, { dispatcher })).body.text()),
      ),
    )
    expect(seen).toEqual(['alice', 'bob', 'nobody'])
    expect(new Set(accounts.received.map(({ httpVersion }) => httpVersion))).toEqual(new Set(['2.0']))
    await agent.close()
    await accounts.close()
  })

  it('such as those of got, whose requests never carry the passport of another', async () => {
    const identity = await certificate()
    const accounts = await startAccounts(false, (answer) => startHttp2Server(answer, identity))
    const logger = new RecordingLogger()
    patch({ kest: caller({ logger }), propagateTo: [accounts.origin] })
    const seen = await Promise.all(
      ['alice', 'bob', null].map((user) =>
        servedTo(user, () =>
          got(`${accounts.origin}/x`, {
            http2: true,
            https: { certificateAuthority: identity.cert },
            retry: { limit: 0 },
          }).text(),
        ),
      ),
    )
    expect(seen).toEqual(['nobody', 'nobody', 'nobody'])
    expect(warnings(logger)).toMatchObject([{ origin: accounts.origin }])
    await accounts.close()
  })
})

describe('whoever imports node:http2', () => {
  it('F-CP-03 K-SCOPE sees it, however, and before or after; but for a connect that was taken out of it before', async () => {
    const { stdout } = await promisify(execFile)(process.execPath, [IMPORTERS, hop2.origin, stranger.origin])
    const ways: readonly string[] = JSON.parse(stdout)
    expect(hop2.received.map(({ url }) => url.slice(1))).toEqual(ways)
    for (const { headers, url } of hop2.received) {
      const seen = headers['baggage'] === undefined ? [] : await operationsIn(headers)
      expect([url, seen]).toEqual([url, url === '/captured' ? [] : ['orders.list']])
    }
    expect(stranger.received.map(({ url }) => url.slice(1))).toEqual(ways)
    expect(stranger.received.filter(showsKest)).toEqual([])
  })
})

describe('undoing', () => {
  it('gives back connect and request, and sessions go on without', async () => {
    const session = connect(hop2.origin)
    const patched = Object.getPrototypeOf(session).request
    unpatch()
    expect(http2.connect).toBe(native.connect)
    expect(Object.getPrototypeOf(session).request).not.toBe(patched)
    await within('orders.list', () => sendStream(session, '/x', { headers: { baggage: 'kest.user=eve' } }))
    expect(hop2.received.map(({ headers }) => headers['baggage'])).toEqual(['kest.user=eve'])
  })

  it('patched sessions look as they did', () => {
    expect(Object.getOwnPropertyNames(http2.connect).sort()).toEqual(native.own.sort())
    expect([http2.connect.name, http2.connect.length]).toEqual([native.connect.name, native.connect.length])
  })

  it('a session that was connected past Kest gets nothing added, and loses what is ours', async () => {
    const session = keep(native.connect(hop2.origin))
    await within('orders.list', () =>
      sendStream(session, '/x', { headers: { baggage: 'kest.user=eve,a=1' } }),
    )
    expect(hop2.received.map(({ headers }) => headers['baggage'])).toEqual(['a=1'])
  })
})
