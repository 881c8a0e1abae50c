import { createServer, type Socket } from 'node:net'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { type OPAOptions, OPAPolicyEngine } from '../src/index.js'
import { requestOf } from './support/context.js'

const BODY = '{"result":true}'
const NO = '{"result":false}'
const HEAD = `HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: ${BODY.length}\r\n\r\n`

/** A question as it came: on which connection, and as the how manieth on it. */
interface Asked {
  readonly socket: Socket
  readonly connection: number
  readonly place: number
  readonly path: string
}

/** A server that has each connection in its own hands, where one of HTTP has not. */
async function rawOpa(answer: (asked: Asked) => void, options: Partial<OPAOptions> = {}) {
  const asked: Asked[] = []
  const sockets = new Set<Socket>()
  let connections = 0
  const server = createServer((socket) => {
    const connection = connections++
    let place = 0
    let text = ''
    sockets.add(socket)
    // What is reset at either end says so here.
    socket.on('error', () => {})
    socket.on('data', (chunk) => {
      text += chunk
      for (let whole = question(text); whole !== undefined; whole = question(text)) {
        text = text.slice(whole.length)
        const path = whole.split(/[ ?]/)[1] as string
        const one = { socket, connection, place: place++, path }
        asked.push(one)
        answer(one)
      }
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as { port: number }
  // One alone, so that it is used again, and not another that is free a moment earlier.
  const own = { timeoutMs: 60_000, connections: 1, ...options }
  const engine = new OPAPolicyEngine({ url: `http://127.0.0.1:${port}`, ...own })
  onTestFinished(async () => {
    await engine.close()
    for (const socket of sockets) socket.destroy()
    await new Promise((resolve) => server.close(resolve))
  })
  const ask = (policies: string | readonly string[] = 'a', signal = new AbortController().signal) =>
    engine.evaluate(requestOf(policies), { signal })
  return { engine, asked, sockets, ask, connections: () => connections }
}

function question(text: string): string | undefined {
  const end = text.indexOf('\r\n\r\n') + 4
  if (end < 4) return undefined
  const whole = end + Number(/content-length: (\d+)/i.exec(text)?.[1] ?? 0)
  return text.length < whole ? undefined : text.slice(0, whole)
}

const allow = ({ socket }: Asked) => void socket.write(HEAD + BODY)
const CLOSINGS: readonly [string, (socket: Socket) => void][] = [
  ['ended', (socket) => socket.end()],
  ['destroyed', (socket) => socket.destroy()],
  ['reset', (socket) => socket.resetAndDestroy()],
]

describe.each(CLOSINGS)('K-ASK a connection that is %s', (_, close) => {
  it('before a byte of an answer, after it had served: the question is asked once more, on a new one', async () => {
    const { ask, asked, engine } = await rawOpa((one) => {
      if (one.place === 1) close(one.socket)
      else allow(one)
    })
    expect(await ask()).toBe(true)
    expect(await ask('b')).toBe(true)
    expect(asked.map(({ connection, place, path }) => [connection, place, path])).toEqual([
      [0, 0, '/v1/data/a'],
      [0, 1, '/v1/data/b'],
      [1, 0, '/v1/data/b'],
    ])
    await expect(engine.health()).resolves.toBeUndefined()
  })

  it('as soon as the question begins to arrive: it is asked once more', async () => {
    const opa = await rawOpa(allow)
    expect(await opa.ask()).toBe(true)
    for (const socket of opa.sockets) socket.prependListener('data', () => close(socket))
    expect(await opa.ask()).toBe(true)
    expect(opa.connections()).toBe(2)
  })

  it('while nobody asks: the next question has a new one', async () => {
    const opa = await rawOpa(allow)
    expect(await opa.ask()).toBe(true)
    for (const socket of opa.sockets) {
      const closed = new Promise((resolve) => socket.once('close', resolve))
      close(socket)
      await closed
    }
    expect(await opa.ask('b')).toBe(true)
    expect(opa.connections()).toBe(2)
  })

  it('before it has served: the question is not asked again', async () => {
    const { ask, asked } = await rawOpa(({ socket }) => close(socket))
    await expect(ask()).rejects.toMatchObject({ code: 'ERR_KEST_ENGINE' })
    expect(asked).toHaveLength(1)
  })

  it('when it was asked again: it is not asked a third time', async () => {
    const { ask, asked } = await rawOpa((one) => {
      if (one.connection + one.place > 0) close(one.socket)
      else allow(one)
    })
    expect(await ask()).toBe(true)
    await expect(ask('b')).rejects.toMatchObject({ code: 'ERR_KEST_ENGINE' })
    expect(asked.map(({ path }) => path)).toEqual(['/v1/data/a', '/v1/data/b', '/v1/data/b'])
  })

  it.each([
    ['one byte', 'H'],
    ['half of the status', 'HTTP/1.1 2'],
    ['a status of the way', 'HTTP/1.1 100 Continue\r\n\r\n'],
    ['half of the head', HEAD.slice(0, 30)],
    ['the head', HEAD],
    ['half of the body', HEAD + BODY.slice(0, 7)],
  ])('after %s of an answer: the question is not asked again', async (_what, part) => {
    const { ask, asked } = await rawOpa((one) => {
      if (one.place === 0) allow(one)
      else one.socket.write(part, () => close(one.socket))
    })
    expect(await ask()).toBe(true)
    // A reset may overtake what was written before it, and then nothing came.
    const outcome = await Promise.resolve(ask('b')).catch(({ code }) => code)
    const overtaken = asked.length === 3
    expect(outcome).toBe(overtaken ? true : 'ERR_KEST_ENGINE')
    if (close !== CLOSINGS[2]?.[1]) expect(asked).toHaveLength(2)
  })

  it('is of no account to the questions beside it: each is asked once more for itself', async () => {
    const { engine, asked } = await rawOpa((one) => {
      if (one.place === 1) close(one.socket)
      else allow(one)
    })
    const { signal } = new AbortController()
    const tiers = [requestOf(['a', 'b']), requestOf('c')]
    const all = () => Promise.all(engine.evaluateAll(tiers, { signal }))
    expect(await all()).toEqual([true, true])
    expect(await all()).toEqual([true, true])
    for (const path of ['a', 'b', 'c'])
      expect(asked.filter((one) => one.path === `/v1/data/${path}`)).toHaveLength(3)
  })
})

it.each([
  ['an error', `HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n`, 'ERR_KEST_ENGINE'],
  ['no JSON', `HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n{`, 'ERR_KEST_ENGINE_ANSWER'],
  ['no HTTP', 'SSH-2.0\r\n', 'ERR_KEST_ENGINE'],
])('K-ASK what answers is not asked again, whatever it answers: %s', async (_, text, code) => {
  const { ask, asked } = await rawOpa((one) => {
    if (one.place === 0) allow(one)
    else one.socket.write(text)
  })
  expect(await ask()).toBe(true)
  await expect(ask('b')).rejects.toMatchObject({ code })
  expect(asked).toHaveLength(2)
})

it('K-ASK asking once more is within the same time', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
  onTestFinished(() => void vi.useRealTimers())
  const opa = await rawOpa(
    (one) => {
      if (one.connection > 0) return
      if (one.place === 1) one.socket.destroy()
      else allow(one)
    },
    { timeoutMs: 1_000 },
  )
  expect(await opa.ask()).toBe(true)
  const asking = Promise.resolve(opa.ask('b')).catch(({ code }) => code)
  while (opa.asked.length < 3) await new Promise(setImmediate)
  vi.advanceTimersByTime(1_000)
  expect(await asking).toBe('ERR_KEST_ENGINE_TIMEOUT')
  expect(opa.asked).toHaveLength(3)
})

it('K-ASK what whoever asked has left, or an earlier denial has ended, is not asked again', async () => {
  const { ask, asked, engine } = await rawOpa((one) => {
    if (one.place === 0 && one.path !== '/v1/data/no') allow(one)
    if (one.path === '/v1/data/no') one.socket.write('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}')
  })
  const caller = new AbortController()
  expect(await ask()).toBe(true)
  const left = ask('left', caller.signal)
  await expect.poll(() => asked.length).toBe(2)
  caller.abort(new Error('gone'))
  await expect(left).rejects.toMatchObject({ code: 'ERR_KEST_ENGINE' })

  expect(await ask()).toBe(true)
  expect(await ask(['no', 'never'])).toMatchObject({ allow: false })
  await engine.close()
  const counts = ['left', 'never'].map((name) => asked.filter(({ path }) => path.endsWith(name)).length)
  expect(counts[0]).toBe(1)
  expect(counts[1]).toBeLessThanOrEqual(1)
})

it('K-ASK a denial keeps the connections of what was asked beside it, whose answers come', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
  onTestFinished(() => void vi.useRealTimers())
  const { asked, engine, connections } = await rawOpa(
    ({ socket, path }) =>
      void socket.write(path === '/v1/data/no' ? HEAD.replace('15', '16') + NO : HEAD + BODY),
    { connections: 4 },
  )
  const denied = () => engine.evaluate(requestOf(['no', 'a', 'b', 'c']), new AbortController())
  for (let i = 0; i < 5; i++) {
    expect(await denied()).toMatchObject({ allow: false })
    while (asked.length < 4 * (i + 1)) await new Promise(setImmediate)
  }
  expect(connections()).toBe(4)
})

it('K-ASK what was not on its way yet when it was ended is not asked, and costs no connection', async () => {
  const held: Asked[] = []
  const opa = await rawOpa((one) => (one.path === '/v1/data/slow' ? void held.push(one) : allow(one)))
  const slow = opa.ask('slow')
  await expect.poll(() => held.length).toBe(1)
  // The one connection is taken.
  const caller = new AbortController()
  const queued = opa.ask('queued', caller.signal)
  caller.abort(new Error('gone'))
  await expect(queued).rejects.toMatchObject({ code: 'ERR_KEST_ENGINE' })
  for (const one of held) allow(one)
  expect(await slow).toBe(true)
  expect(await opa.ask('after')).toBe(true)
  expect(opa.asked.map(({ path }) => path)).toEqual(['/v1/data/slow', '/v1/data/after'])
  expect(opa.connections()).toBe(1)
})
