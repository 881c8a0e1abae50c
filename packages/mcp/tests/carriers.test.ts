import type { IncomingMessage, ServerResponse } from 'node:http'
import { createIngress, currentState, respond, toProblem } from '@kest/core'
import { describe, expect, it } from 'vitest'
import { clientOf, connect, connectHttp, serveHttp, serverOf } from './support/connect.js'
import { LINES } from './support/lines.js'
import { service, within } from './support/services.js'

const agent = service('agent')
const tools = service('tools')
const operations = () => currentState()?.frame.lineage.map(({ entry }) => entry.operation) ?? []

/** The passport of a moment, as a header. */
async function baggageOf(operation: string): Promise<string> {
  const { baggage } = await within(agent, operation, () =>
    agent.inject({} as Record<string, string>, 'http://tools'),
  )
  return String(baggage)
}

/** An adapter of Kest's before the SDK. */
function judged(options: Parameters<typeof createIngress>[1]) {
  const ingress = createIngress('test', { kest: tools, ...options })
  const route = tools.operation({ operation: 'POST /mcp', policy: 'http' })
  return async (request: IncomingMessage, response: ServerResponse, handle: () => Promise<void>) => {
    try {
      const exchange = await ingress.receive({ request, response })
      await exchange.begin(route, { args: [] })
      await exchange.handle(handle)
    } catch (error) {
      respond(response, toProblem(error))
    }
  }
}

describe.each(LINES)('where lineage is carried, $name', (line) => {
  const shows =
    (options: object = {}) =>
    () =>
      serverOf(line, { kest: tools, policy: 'mcp', ...options }, (one) =>
        one.tool('show', (_, { meta, headers }) => ({
          operations: operations(),
          left: JSON.stringify([meta ?? null, headers]).includes('kest.'),
        })),
      )

  it('K-CARRIER takes lineage from the header or _meta, with the same tips where both bring any', async () => {
    const endpoint = await serveHttp(line, shows())
    const headers: Record<string, string> = {}
    const fetchWith: typeof fetch = (url, init) => {
      const all = new Headers(init?.headers)
      for (const [name, value] of Object.entries(headers)) all.set(name, value)
      return fetch(url, { ...init, headers: all })
    }
    const client = await connectHttp(line, clientOf(line, null), endpoint, { fetch: fetchWith })
    const one = await baggageOf('one')
    const call = (meta?: string, header?: string) => {
      delete headers['baggage']
      if (header !== undefined) headers['baggage'] = header
      return client.call('show', {}, meta === undefined ? {} : { meta: { baggage: meta } })
    }
    const shown = { operations: ['one', 'mcp:tools/call:show'], left: false }
    expect(await call(one)).toEqual(shown)
    expect(await call(undefined, one)).toEqual(shown)
    expect(await call(one, one)).toEqual(shown)
    await expect(call(one, await baggageOf('two'))).rejects.toMatchObject({ data: { code: 'ERR_KEST_TIP' } })
    await expect(call()).rejects.toMatchObject({ data: { code: 'ERR_KEST_LINEAGE_MISSING' } })
  })

  it('K-CARRIER within a request that was judged, _meta adds no parents and must have the same tips', async () => {
    const endpoint = await serveHttp(line, shows(), { around: judged({}) })
    let header = await baggageOf('connects')
    const fetchWith: typeof fetch = (url, init) => {
      const all = new Headers(init?.headers)
      all.set('baggage', header)
      return fetch(url, { ...init, headers: all })
    }
    const client = await connectHttp(line, clientOf(line, null), endpoint, { fetch: fetchWith })
    header = await baggageOf('one')
    const shown = { operations: ['one', 'POST /mcp', 'mcp:tools/call:show'], left: false }
    expect(await client.call('show')).toEqual(shown)
    expect(await client.call('show', {}, { meta: { baggage: header } })).toEqual(shown)
    const meta = { baggage: await baggageOf('two') }
    await expect(client.call('show', {}, { meta })).rejects.toMatchObject({ data: { code: 'ERR_KEST_TIP' } })
    await expect(client.call('show', {}, { meta: { baggage: 'kest.user=eve' } })).rejects.toMatchObject({
      data: { code: 'ERR_KEST_TIP' },
    })
  })

  it('K-RECEIPT within a request that was judged, a call that asks for a receipt in _meta gets none', async () => {
    const header = await baggageOf('one')
    const asking = { baggage: `${header},kest.receipt=AAAAAAAAAAAAAAAAAAAAAA` }
    for (const [around, expected] of [
      [judged({}), false],
      [undefined, true],
    ] as const) {
      const endpoint = await serveHttp(line, shows(), around && { around })
      const requestInit = { headers: { baggage: header } }
      const client = await connectHttp(line, clientOf(line, null), endpoint, { requestInit })
      const { callTool } = client.mcp as unknown as { callTool(params: object): Promise<{ _meta?: object }> }
      const call = { name: 'show', arguments: {}, _meta: asking }
      const { _meta: meta = {} } = await callTool.call(client.mcp, call)
      expect(Object.hasOwn(meta, 'kest-receipt')).toBe(expected)
    }
  })

  it('K-EDGE behind an edge of HTTP _meta is removed, unread', async () => {
    const endpoint = await serveHttp(line, shows(), { around: judged({ origin: 'internet' }) })
    const client = await connectHttp(line, clientOf(line, null), endpoint)
    const shown = { operations: ['POST /mcp', 'mcp:tools/call:show'], left: false }
    expect(await client.call('show', {}, { meta: { baggage: await baggageOf('one') } })).toEqual(shown)
    expect(await client.call('show', {}, { meta: { baggage: 'kest.passport=nonsense' } })).toEqual(shown)
  })

  it('K-EDGE an edge of MCP takes lineage out of header and _meta', async () => {
    const endpoint = await serveHttp(line, shows({ origin: 'internet' }))
    const requestInit = { headers: { baggage: await baggageOf('one') } }
    const client = await connectHttp(line, clientOf(line, null), endpoint, { requestInit })
    const shown = { operations: ['mcp:tools/call:show'], left: false }
    expect(await client.call('show', {}, { meta: { baggage: await baggageOf('two') } })).toEqual(shown)
  })

  it('K-HOP takes a token for the origin called, in _meta', async () => {
    const audiences: string[] = []
    const options = () => ({ binding: 'hop' as const, audiences })
    const endpoint = await serveHttp(line, () => shows(options())())
    audiences.push(endpoint.url.origin)
    const { origin } = endpoint.url
    const client = await connectHttp(
      line,
      clientOf(line, { kest: agent, carry: [origin], hop: true }),
      endpoint,
    )
    await within(agent, 'one', async () => {
      for (const _ of [1, 2])
        expect(await client.call('show')).toEqual({ operations: ['one', 'mcp:tools/call:show'], left: false })
    })
    const without = await connectHttp(line, clientOf(line, { kest: agent, carry: [origin] }), endpoint)
    const called = within(agent, 'one', () => without.call('show'))
    await expect(called).rejects.toMatchObject({ data: { code: 'ERR_KEST_BINDING' } })
  })
})

describe('chains', () => {
  const [line1, line2] = LINES as [(typeof LINES)[0], (typeof LINES)[0]]

  it.each([
    [line1, line2],
    [line2, line1],
  ])(
    'a server without Kest between two with it loses lineage, unless it hands _meta on as it is',
    async (near, far) => {
      const inner = clientOf(far, null)
      const last = serverOf(far, { kest: tools, policy: 'mcp' }, (one) => one.tool('last', operations))
      await connect(far, inner, last)
      const between = serverOf(near, null, (one) => {
        one.tool('forgets', () => inner.call('last').catch((error: { data?: unknown }) => error.data))
        one.tool('forwards', (_, { meta = {} }) => inner.call('last', {}, { meta }))
      })
      const client = await connect(near, clientOf(near, { kest: agent, carry: true }), between)
      await within(agent, 'agent.run', async () => {
        expect(await client.call('forgets')).toEqual({ code: 'ERR_KEST_LINEAGE_MISSING' })
        expect(await client.call('forwards')).toEqual(['agent.run', 'mcp:tools/call:last'])
      })
    },
  )

  it.each(LINES)('a tool that calls its own client, 64 calls deep, $name', async (line) => {
    const client = clientOf(line, { kest: tools, carry: true })
    const server = serverOf(line, { kest: tools, policy: 'mcp' }, (one) =>
      one.tool('deeper', ({ text = '0' }) =>
        text === '1' ? operations() : client.call('deeper', { text: String(Number(text) - 1) }),
      ),
    )
    await connect(line, client, server)
    const deepest = await within(tools, 'run', () => client.call('deeper', { text: '64' }))
    expect(deepest).toEqual(['run', ...Array.from({ length: 64 }, () => 'mcp:tools/call:deeper')])
  })

  it.each(LINES)('a session that is resumed: one entry, and its operation goes on, $name', async (line) => {
    const stored: { id: string; stream: string; message: unknown }[] = []
    const eventStore = {
      storeEvent: async (stream: string, message: unknown) => {
        const id = `${stored.length}`
        stored.push({ id, stream, message })
        return id
      },
      getStreamIdForEventId: async (id: string) => stored.find((event) => event.id === id)?.stream,
      replayEventsAfter: async (
        id: string,
        { send }: { send(id: string, message: unknown): Promise<void> },
      ) => {
        const last = stored.find((event) => event.id === id)
        const after = stored.filter((event) => event.stream === last?.stream && Number(event.id) > Number(id))
        for (const event of after) if (isMessage(event.message)) await send(event.id, event.message)
        return last?.stream ?? ''
      },
    }
    const isMessage = (message: unknown) => Object.keys(message as object).length > 0
    let gone = (): void => {}
    const closed = new Promise<void>((resolve) => {
      gone = resolve
    })
    let entries = 0
    const make = () =>
      serverOf(line, { kest: tools, policy: 'mcp' }, (one) =>
        one.tool('long', async (_, { closeStream }) => {
          entries++
          closeStream()
          await closed
          const inner = tools.verified({ operation: 'inner', policy: 'any' }, operations)
          return inner()
        }),
      )
    const endpoint = await serveHttp(line, make, { options: { eventStore, retryInterval: 10 } })
    const client = await connectHttp(line, clientOf(line, { kest: agent, carry: true }), endpoint)
    const calling = within(agent, 'agent.run', () => client.call('long', {}, { onprogress: () => {} }))
    // The client has come again, and says how far it has read.
    await expect
      .poll(() => endpoint.requests.some((headers) => headers['last-event-id'] !== undefined))
      .toBe(true)
    gone()
    expect(await calling).toEqual(['agent.run', 'mcp:tools/call:long', 'inner'])
    expect(entries).toBe(1)
  })
})
