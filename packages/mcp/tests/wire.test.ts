import { currentState, getCurrentUser } from '@kest/core'
import { MockPolicyEngine } from '@kest/core/testing'
import { describe, expect, it, onTestFinished } from 'vitest'
import { clientOf, connect, connectHttp, serveHttp, serverOf } from './support/connect.js'
import { type AnyServer, LINES, type Line } from './support/lines.js'
import { service, within } from './support/services.js'

const agent = service('agent')

interface Raw {
  send(message: unknown): Promise<void>
  /** What the server has sent, answers and all. */
  readonly received: Record<string, unknown>[]
  answerTo(id: unknown): Promise<Record<string, unknown>>
}

/** Speaks to a server without an SDK's client: what is sent is what arrives. */
async function raw(line: Line, server: AnyServer): Promise<Raw> {
  const [near, far] = line.pair() as unknown as [
    {
      start(): Promise<void>
      send(message: unknown): Promise<void>
      close(): Promise<void>
      onmessage: unknown
    },
    never,
  ]
  const received: Record<string, unknown>[] = []
  near.onmessage = (message: Record<string, unknown>) => received.push(message)
  onTestFinished(() => server.mcp.close())
  await server.mcp.connect(far)
  await near.start()
  const send = (message: unknown) => near.send(message)
  const answerTo = async (id: unknown) => {
    await expect.poll(() => received.some((message) => message['id'] === id)).toBe(true)
    return received.find((message) => message['id'] === id) as Record<string, unknown>
  }
  await send({
    jsonrpc: '2.0',
    id: 'init',
    method: 'initialize',
    params: { protocolVersion: '2025-06-18', capabilities: {}, clientInfo: { name: 'raw', version: '1' } },
  })
  await answerTo('init')
  await send({ jsonrpc: '2.0', method: 'notifications/initialized' })
  return { send, received, answerTo }
}

const call = (id: unknown, params: unknown = { name: 'tool' }) => ({
  jsonrpc: '2.0',
  id,
  method: 'tools/call',
  params,
})

/** `{"a":{"a":…}}` */
const nested = (depth: number): unknown => (depth === 0 ? 1 : { a: nested(depth - 1) })

/** An engine that answers when it is told to. */
function gate() {
  let open = (): void => {}
  const opened = new Promise<boolean>((resolve) => {
    open = () => resolve(true)
  })
  const engine = new MockPolicyEngine(() => opened)
  return { engine, open, asked: () => expect.poll(() => engine.requests.length) }
}

describe.each(LINES)('what arrives, $name', (line) => {
  const edge = { origin: 'user_input', policy: 'mcp' } as const
  function counting(options: object = {}) {
    const ran: unknown[] = []
    const errors: Error[] = []
    const server = serverOf(line, { kest: service('tools'), ...edge, ...options }, (one) =>
      one.tool('tool', ({ text }) => void ran.push(text ?? 'ran')),
    )
    server.onerror((error) => errors.push(error))
    return { server, ran, errors }
  }

  it('answers what is no request of the protocol’s, and hands it to nobody', async () => {
    const { server, ran } = counting()
    const { send, answerTo } = await raw(line, server)
    const malformed: readonly unknown[] = [
      {},
      [],
      { name: '' },
      { name: 7 },
      { name: 'a\nb' },
      { name: '\ud800' },
      { name: 'x'.repeat(2049) },
      { name: 'tool', arguments: [] },
      { name: 'tool', arguments: { text: '\ud800' } },
      { name: 'tool', arguments: nested(70) },
      { name: 'tool', _meta: 'kest.passport=[]' },
    ]
    for (const [n, params] of malformed.entries()) {
      await send(call(n, params))
      expect(await answerTo(n), JSON.stringify(params)).toMatchObject({ error: { code: -32602 } })
    }
    await send(call('last'))
    expect(await answerTo('last')).toHaveProperty('result')
    expect(ran).toEqual(['ran'])
  })

  it('K-MCP takes what it does not know for a call', async () => {
    const engine = new MockPolicyEngine()
    const { server } = counting({ kest: service('tools', { engine }) })
    const { send, answerTo } = await raw(line, server)
    await send({ jsonrpc: '2.0', id: 1, method: 'acme/launch', params: {} })
    await send({ jsonrpc: '2.0', id: 2, method: 'completion/complete', params: {} })
    await answerTo(1)
    await answerTo(2)
    await send({ jsonrpc: '2.0', id: 3, method: 'ping' })
    expect(await answerTo(3)).toMatchObject({ result: {} })
    expect(engine.requests.map(({ context }) => context.object.id)).toEqual([
      'mcp:acme/launch',
      'mcp:completion/complete',
    ])
    const opened = counting({ kest: service('tools', { engine }), open: ['acme/launch'] })
    const other = await raw(line, opened.server)
    await other.send({ jsonrpc: '2.0', id: 1, method: 'acme/launch', params: {} })
    expect(await other.answerTo(1)).toMatchObject({ error: { code: -32601 } })
    expect(engine.requests).toHaveLength(2)
  })

  it('hands no notification on that looks like a call', async () => {
    const { server, ran, errors } = counting()
    const notified: unknown[] = []
    const { mcp } = server as unknown as {
      mcp: { server: { fallbackNotificationHandler: (message: { method: string }) => Promise<void> } }
    }
    mcp.server.fallbackNotificationHandler = async ({ method }) => void notified.push(method)
    const { send, answerTo } = await raw(line, server)
    await send({ jsonrpc: '2.0', method: 'tools/call', params: { name: 'tool' } })
    await send({ jsonrpc: '2.0', method: 'acme/event', params: { _meta: { baggage: 'kest.user=eve' } } })
    await send(call(1))
    await answerTo(1)
    expect([ran, notified]).toEqual([['ran'], ['acme/event']])
    expect(errors.map(({ message }) => message)).toEqual([expect.stringContaining('looks like a call')])
  })

  it('K-STATE runs nothing that was cancelled while it was decided, and answers it no more', async () => {
    const { engine, open, asked } = gate()
    const { server, ran } = counting({ kest: service('tools', { engine }) })
    const { send, answerTo, received } = await raw(line, server)
    await send(call(7, { name: 'tool', arguments: { text: 'cancelled' } }))
    await asked().toBe(1)
    await send({ jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: 7 } })
    await send(call(8, { name: 'tool', arguments: { text: 'waited for' } }))
    open()
    await answerTo(8)
    expect(ran).toEqual(['waited for'])
    expect(received.filter(({ id }) => id === 7)).toEqual([])
  })

  it('K-STATE begins nothing more in a call that is cancelled while it runs', async () => {
    const kest = service('tools')
    let told: unknown
    let begun = (): void => {}
    const began = new Promise<void>((resolve) => {
      begun = resolve
    })
    const server = serverOf(line, { kest, ...edge }, (one) =>
      one.tool('tool', async (_, { signal }) => {
        begun()
        await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }))
        told = await kest
          .verified({ operation: 'inner', policy: 'any' }, () => 'ran')()
          .catch(({ code }) => code)
      }),
    )
    const { send } = await raw(line, server)
    await send(call(7))
    await began
    await send({ jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: 7 } })
    await expect.poll(() => told).toBe('ERR_KEST_ABORTED')
  })

  it('K-STATE tells ids apart that come twice by the operation that they are answered in', async () => {
    const kest = service('tools')
    const waiting = new Map<string, () => void>()
    const shown: unknown[] = []
    const server = serverOf(line, { kest, ...edge }, (one) =>
      one.tool('tool', async ({ text = '' }) => {
        await new Promise<void>((resolve) => waiting.set(text, resolve))
        const inner = kest.verified({ operation: `inner ${text}`, policy: 'any' }, () => 1)
        await inner()
        shown.push(currentState()?.frame.lineage.map(({ entry }) => entry.operation))
        return text
      }),
    )
    const { send, received } = await raw(line, server)
    const answers = () => received.filter(({ id }) => id === 7).length
    await send(call(7, { name: 'tool', arguments: { text: 'first' } }))
    await send(call(7, { name: 'tool', arguments: { text: 'second' } }))
    await expect.poll(() => waiting.size).toBe(2)
    waiting.get('second')?.()
    await expect.poll(answers).toBe(1)
    waiting.get('first')?.()
    await expect.poll(answers).toBe(2)
    expect(shown).toEqual([
      ['mcp:tools/call:tool', 'inner second'],
      ['mcp:tools/call:tool', 'inner first'],
    ])
  })

  it('K-STATE what is refused, or open, and has the id of a call, leaves that call as it was', async () => {
    const kest = service('tools')
    const gone: (() => void)[] = []
    const server = serverOf(line, { kest, ...edge }, (one) =>
      one.tool('tool', async () => {
        await new Promise<void>((resolve) => gone.push(resolve))
        return kest.verified({ operation: 'inner', policy: 'any' }, () => 'went on')()
      }),
    )
    const { send, received } = await raw(line, server)
    await send(call(7))
    await expect.poll(() => gone.length).toBe(1)
    await send(call(7, {}))
    await send({ jsonrpc: '2.0', id: 7, method: 'tools/call', params: { name: 'tool', arguments: [] } })
    await send({ jsonrpc: '2.0', id: 7, method: 'ping' })
    await send({ jsonrpc: '2.0', id: 7, method: 'ping', params: { _meta: { baggage: 7 } } })
    const answers = () => received.filter(({ id }) => id === 7)
    await expect.poll(() => answers().length).toBe(4)
    gone[0]?.()
    await expect.poll(() => answers().length).toBe(5)
    expect(JSON.stringify(answers().at(-1))).toContain('went on')
  })

  it('runs nothing of a connection that was closed while it was decided', async () => {
    const { engine, open, asked } = gate()
    const { server, ran } = counting({ kest: service('tools', { engine }) })
    const { send } = await raw(line, server)
    await send(call(7))
    await asked().toBe(1)
    await server.mcp.close()
    open()
    await new Promise((resolve) => setImmediate(resolve))
    expect(ran).toEqual([])
  })

  it('a client that waits no longer has its time-out, and nothing of it runs', async () => {
    const { engine, open } = gate()
    const { server, ran } = counting({ kest: service('tools', { engine }) })
    const client = await connect(line, clientOf(line, { kest: agent, carry: true }), server)
    await expect(client.call('tool', {}, { timeout: 50 })).rejects.toThrow(/timed out/)
    const controller = new AbortController()
    const called = client.call('tool', {}, { signal: controller.signal })
    controller.abort(new Error('no longer'))
    await expect(called).rejects.toThrow('no longer')
    open()
    expect(await client.list()).toEqual(['tool'])
    expect(ran).toEqual([])
  })

  it('judges each request of a batch by itself', async () => {
    const ran: unknown[] = []
    const kest = service('tools', { engine: new MockPolicyEngine({ allowed: true }) })
    const policy = ({ arguments: { text } }: { arguments: Readonly<Record<string, unknown>> }) => String(text)
    const endpoint = await serveHttp(
      line,
      () =>
        serverOf(line, { kest, policy, origin: 'internet' }, (one) =>
          one.tool('tool', ({ text }) => ran.push(text)),
        ),
      { options: { enableJsonResponse: true } },
    )
    let session = ''
    const record: typeof fetch = async (url, init) => {
      const response = await fetch(url, init)
      session = response.headers.get('mcp-session-id') ?? session
      return response
    }
    await connectHttp(line, clientOf(line, null), endpoint, { fetch: record })
    const response = await fetch(endpoint.url, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        accept: 'application/json, text/event-stream',
        'mcp-session-id': session,
      },
      body: JSON.stringify([
        call('a', { name: 'tool', arguments: { text: 'allowed' } }),
        call('b', { name: 'tool', arguments: { text: 'denied' } }),
        { jsonrpc: '2.0', method: 'tools/call', params: { name: 'tool', arguments: { text: 'allowed' } } },
      ]),
    })
    const answers = (await response.json()) as { id: string; error?: { data: unknown } }[]
    expect(answers.map(({ id, error }) => [id, error?.data]).sort()).toEqual([
      ['a', undefined],
      ['b', { code: 'ERR_KEST_DENIED' }],
    ])
    expect(ran).toEqual(['allowed'])
  })

  it('K-STATE never mixes users over HTTP', async () => {
    const kest = service('tools')
    const endpoint = await serveHttp(line, () =>
      serverOf(line, { kest, policy: 'mcp' }, (one) =>
        one.tool('who', ({ text }) => [text, getCurrentUser()]),
      ),
    )
    const client = await within(agent, 'connects', () =>
      connectHttp(line, clientOf(line, { kest: agent, carry: true }), endpoint),
    )
    const users = Array.from({ length: 50 }, (_, n) => `user-${n}`)
    const shown = await Promise.all(
      users.map((user) => within(agent, 'run', () => client.call('who', { text: user }), user)),
    )
    expect(shown).toEqual(users.map((user) => [user, user]))
  })
})
