import { currentState, getCurrentUser } from '@kest/core'
import { MockPolicyEngine } from '@kest/core/testing'
import { describe, expect, it } from 'vitest'
import { kestMcpClient } from '../src/index.js'
import { clientOf, connect, connectHttp, connectStdio, serveHttp, serverOf } from './support/connect.js'
import { LINES } from './support/lines.js'
import { service, within } from './support/services.js'

const agent = service('agent')
const operations = () => currentState()?.frame.lineage.map(({ entry }) => entry.operation) ?? []

describe.each(LINES)('kestMcpClient, $name', (line) => {
  it('K-SCOPE gives a stranger nothing of Kest’s, whoever wrote it, and leaves the members of others', async () => {
    const metas: unknown[] = []
    const server = serverOf(line, null, (one) => one.tool('tool', (_, { meta }) => void metas.push(meta)))
    const client = await connect(line, clientOf(line, { kest: agent, carry: false }), server)
    await within(agent, 'agent.run', async () => {
      await client.call('tool')
      await client.call('tool', {}, { meta: { Baggage: 'tenant=a;p=1,kest.passport=%5B%5D, b=2', other: 1 } })
      await client.call('tool', {}, { meta: { baggage: 'tenant=a' } })
    })
    const own = (meta: unknown) => {
      const { baggage, other } = (meta ?? {}) as Record<string, unknown>
      return { baggage, other }
    }
    expect(metas.map(own)).toEqual([{}, { baggage: 'tenant=a;p=1,b=2', other: 1 }, { baggage: 'tenant=a' }])
    expect(JSON.stringify(metas)).not.toContain('kest.')
  })

  it('K-SCOPE over HTTP goes by the origin, where origins are named', async () => {
    const metas: string[] = []
    const make = () =>
      serverOf(line, null, (one) =>
        one.tool('tool', (_, { meta }) => void metas.push(String(meta?.['baggage']))),
      )
    const endpoint = await serveHttp(line, make)
    for (const carry of [
      [endpoint.url.origin],
      ['http://127.0.0.1:1'],
      ({ port }: URL) => port === endpoint.url.port,
    ]) {
      const client = await connectHttp(line, clientOf(line, { kest: agent, carry }), endpoint)
      await within(agent, 'agent.run', () => client.call('tool'))
    }
    expect(metas.map((baggage) => baggage.startsWith('kest.passport='))).toEqual([true, false, true])
    const stdio = clientOf(line, { kest: agent, carry: [endpoint.url.origin] })
    await expect(stdio.mcp.connect(line.stdioClient(['--version']))).rejects.toMatchObject({
      code: 'ERR_KEST_CONFIG',
    })
  })

  it('K-FLOW carries what has happened by then, to a child process over stdio', async () => {
    const client = await connectStdio(line, clientOf(line, { kest: agent, carry: true }))
    const shown = await within(
      agent,
      'agent.run',
      async () => {
        await within(agent, 'agent.plan', () => 1)
        return client.call('show', { text: 'x' })
      },
      'alice',
    )
    expect(shown).toEqual({
      text: 'x',
      user: 'alice',
      operations: ['agent.run', 'agent.plan', 'mcp:tools/call:show'],
    })
    await expect(client.call('show')).rejects.toMatchObject({ code: -32003 })
  })

  it('K-STATE never mixes 200 users of one client over stdio, in the calls and in their callbacks', async () => {
    // Opened by somebody, whose state is ambient in all that the transport calls.
    const client = await within(
      agent,
      'connects',
      () => connectStdio(line, clientOf(line, { kest: agent, carry: true })),
      'who connects',
    )
    const users = Array.from({ length: 200 }, (_, n) => `user-${n}`)
    const shown = await Promise.all(
      users.map((user) =>
        within(
          agent,
          `run of ${user}`,
          async () => {
            let goes: Promise<unknown> | undefined
            const onprogress = () => {
              goes = client.call('go', { text: user })
            }
            return [await client.call('wait', { text: user }, { onprogress }), await goes, getCurrentUser()]
          },
          user,
        ),
      ),
    )
    expect(shown).toEqual(users.map((user) => [user, user, user]))
  })

  it('F-TS-02 records what a tool has answered as data of a third party, or of whom it is said to be', async () => {
    const engine = new MockPolicyEngine(({ policies }) => !policies.includes('results/secret'))
    const kest = service('agent', { engine })
    const results = {
      policy: ({ name }: { name: string | null }) => `results/${name}`,
      addedTaints: ['from-tool'],
    }
    const server = serverOf(line, null, (one) => {
      for (const name of ['theirs', 'own', 'secret']) one.tool(name, () => 'answer')
    })
    const client = await connect(line, clientOf(line, { kest, carry: true, results }), server)
    const scored = async (tool: string) => {
      await client.call(tool)
      return kest.verified({ operation: 'after', policy: 'any' }, () => {
        const [tip] = currentState()?.frame.lineage.tips ?? []
        return [operations(), tip?.entry.trust_score, tip?.entry.taints]
      })()
    }
    expect(await within(kest, 'agent.run', () => scored('theirs'))).toEqual([
      ['agent.run', 'mcp:tools/call:theirs#result', 'after'],
      60,
      ['from-tool'],
    ])
    await expect(within(kest, 'agent.run', () => scored('secret'))).rejects.toMatchObject({
      code: 'ERR_KEST_DENIED',
    })
    const own = clientOf(line, { kest, carry: true, results: { ...results, origin: 'internal' } })
    await connect(
      line,
      own,
      serverOf(line, null, (one) => one.tool('own', () => 1)),
    )
    const trusted = await within(kest, 'agent.run', async () => {
      await own.call('own')
      return currentState()?.frame.lineage.tips[0]?.entry.trust_score
    })
    expect(trusted).toBe(100)
  })

  it('K-MCP carries sampling and elicitation the other way', async () => {
    const tools = service('tools')
    const asked: unknown[] = []
    const fromServer = { policy: ({ method }: { method: string }) => `asks/${method}` }
    const client = clientOf(line, { kest: agent, carry: true, fromServer })
    client.answers('sampling/createMessage', () => {
      asked.push([getCurrentUser(), operations()])
      return { model: 'none', role: 'assistant', content: { type: 'text', text: 'ok' } }
    })
    client.answers('elicitation/create', () => {
      asked.push([getCurrentUser(), operations()])
      return { action: 'decline' }
    })
    const trust: unknown[] = []
    const score = () => currentState()?.frame.lineage.tips[0]?.entry.trust_score
    const options = { kest: tools, policy: 'mcp', toClient: { carry: true, results: { policy: 'answers' } } }
    const server = serverOf(line, options, (one) => {
      one.tool('asks', async (_, { sample, elicit, ask }) => {
        await elicit('sure?')
        trust.push(score())
        await sample('what next?')
        trust.push(score())
        await ask('really?')
      })
    })
    await connect(line, client, server)
    await within(agent, 'agent.run', () => client.call('asks'), 'alice')
    const before = ['agent.run', 'mcp:tools/call:asks']
    const results = ['mcp:elicitation/create#result', 'mcp:sampling/createMessage#result']
    expect(asked).toEqual([
      ['alice', [...before, 'mcp:elicitation/create']],
      ['alice', [...before, 'mcp:elicitation/create#result', 'mcp:sampling/createMessage']],
      ['alice', [...before, ...results, 'mcp:elicitation/create']],
    ])
    expect(trust).toEqual([40, 0])
  })

  it('K-EDGE takes lineage out of what a server asks for, where nobody judges it', async () => {
    const metas: unknown[] = []
    const client = clientOf(line, { kest: agent, carry: true })
    client.answers('elicitation/create', (meta) => {
      metas.push(meta)
      return { action: 'decline' }
    })
    const server = serverOf(
      line,
      { kest: service('tools'), policy: 'mcp', toClient: { carry: true } },
      (one) => one.tool('asks', (_, { elicit }) => elicit('sure?').then(() => 1)),
    )
    await connect(line, client, server)
    await within(agent, 'agent.run', () => client.call('asks'))
    expect(metas).toHaveLength(1)
    expect(JSON.stringify(metas)).not.toContain('kest.')
  })

  it('K-STATE what a server asks for is handled in nobody’s state, where nobody judges it', async () => {
    const states: unknown[] = []
    const client = clientOf(line, { kest: agent, carry: true })
    client.answers('sampling/createMessage', () => {
      states.push(currentState())
      return { model: 'm', role: 'assistant', content: { type: 'text', text: 'this' } }
    })
    // Over stdio all that comes is called in the context of whoever has opened it, whose operation goes on.
    await within(
      agent,
      'connects',
      async () => {
        await connectStdio(line, client)
        await within(agent, 'agent.run', () => client.call('asks'), 'alice')
      },
      'who connects',
    )
    expect(states).toEqual([null])
  })

  it('K-SCOPE goes by the origin that is connected, not by one that it could not be connected to', async () => {
    const got: unknown[] = []
    const makeOf = (who: string) => () =>
      serverOf(line, null, (one) =>
        one.tool('tool', (_, { meta }) => void got.push([who, meta?.['baggage'] !== undefined])),
      )
    const stranger = await serveHttp(line, makeOf('stranger'))
    const named = await serveHttp(line, makeOf('named'))
    const client = clientOf(line, { kest: agent, carry: [named.url.origin] })
    await connectHttp(line, client, stranger)
    // Line 1 refuses it, and stays where it is; line 2 takes it.
    const connected = await client.mcp.connect(line.httpClient(named.url)).then(
      () => true,
      () => false,
    )
    await within(agent, 'agent.run', () => client.call('tool'))
    expect(got).toEqual([connected ? ['named', true] : ['stranger', false]])
  })

  it('refuses clients and options that are wrong, and a client that is connected or was given before', async () => {
    const wrong: readonly unknown[] = [
      undefined,
      {},
      { kest: agent },
      { kest: agent, carry: 'http://tools' },
      { kest: agent, carry: [/tools/] },
      { kest: agent, carry: true, hop: true },
      { kest: agent, carry: true, results: {} },
      { kest: agent, carry: true, results: { policy: 'any', operation: 'x' } },
      { kest: agent, carry: true, fromServer: {} },
      { kest: agent, carry: true, scope: [] },
      { kest: {}, carry: true },
    ]
    for (const options of wrong)
      expect(() => kestMcpClient(line.client().mcp, options as never), JSON.stringify(options)).toThrow(
        expect.objectContaining({ code: 'ERR_KEST_CONFIG' }),
      )
    expect(() => kestMcpClient({} as never, { kest: agent, carry: true })).toThrow(
      /connect\(\) and request\(\)/,
    )
    const twice = kestMcpClient(line.client().mcp, { kest: agent, carry: true })
    expect(() => kestMcpClient(twice, { kest: agent, carry: true })).toThrow(/twice/)
  })

  it('K-STATE sends nothing when the state is over', async () => {
    const ran: unknown[] = []
    const server = serverOf(line, null, (one) => one.tool('tool', () => void ran.push(1)))
    const client = await connect(line, clientOf(line, { kest: agent, carry: true }), server)
    const late = await within(agent, 'agent.run', () => agent.bind(() => client.call('tool')))
    await expect(late()).rejects.toMatchObject({ code: 'ERR_KEST_STATE_ENDED' })
    expect(ran).toEqual([])
  })
})
