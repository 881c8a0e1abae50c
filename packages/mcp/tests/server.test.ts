import { createHash } from 'node:crypto'
import { currentState, getCurrentUser, MemoryPseudonymKeys } from '@kest/core'
import { MockPolicyEngine } from '@kest/core/testing'
import { describe, expect, it, vi } from 'vitest'
import { protectMcpServer } from '../src/index.js'
import { clientOf, connect, serverOf } from './support/connect.js'
import { LINES } from './support/lines.js'
import { denialBy, service, within } from './support/services.js'

const agent = service('agent')
const operations = () => currentState()?.frame.lineage.map(({ entry }) => entry.operation) ?? []
const tip = () => currentState()?.frame.lineage.tips[0]?.entry
const refusal = (code: string) => ({ code: -32003, data: { code } })

describe.each(LINES)('protectMcpServer, $name', (line) => {
  it('K-MCP makes an operation of each call, read and prompt, whatever was registered when', async () => {
    const engine = new MockPolicyEngine()
    const seen: string[][] = []
    const server = serverOf(
      line,
      { kest: service('tools', { engine }), policy: ({ method }) => `mcp/${method}` },
      (one) => one.tool('before', () => void seen.push(operations())),
    )
    const client = await connect(line, clientOf(line, { kest: agent, carry: true }), server)
    server.tool('after', () => void seen.push(operations()))
    await within(agent, 'agent.run', async () => {
      await client.call('before')
      await client.call('after')
      await client.read('doc://one')
      await client.prompt('greet')
    })
    expect(seen).toEqual([
      ['agent.run', 'mcp:tools/call:before'],
      ['agent.run', 'mcp:tools/call:after'],
    ])
    expect(engine.requests.map(({ policies, context }) => [policies, context.object.id])).toEqual([
      [['mcp/tools/call'], 'mcp:tools/call:before'],
      [['mcp/tools/call'], 'mcp:tools/call:after'],
      [['mcp/resources/read'], 'mcp:resources/read:doc://one'],
      [['mcp/prompts/get'], 'mcp:prompts/get:greet'],
    ])
  })

  it('K-MCP leaves open what only tells what there is, and never calls', async () => {
    const ran: string[] = []
    const server = serverOf(line, { kest: service('tools'), policy: () => undefined }, (one) =>
      one.tool('tool', () => void ran.push('tool')),
    )
    const client = await connect(line, clientOf(line, { kest: agent, carry: true }), server)
    expect(await client.list()).toEqual(['tool'])
    await within(agent, 'agent.run', async () => {
      await expect(client.call('tool')).rejects.toMatchObject(refusal('ERR_KEST_CONFIG'))
      await expect(client.read('doc://one')).rejects.toMatchObject(refusal('ERR_KEST_CONFIG'))
    })
    expect(ran).toEqual([])
  })

  it('TC-07 answers a refusal as a JSON-RPC error, which no tool has run for, nor could catch', async () => {
    const ran: string[] = []
    const kest = service('tools', { engine: new MockPolicyEngine({ 'mcp/read': true }) })
    const policy = ({ name }: { name: string | null }) => (name === 'read' ? 'mcp/read' : 'mcp/write')
    const server = serverOf(line, { kest, policy }, (one) => {
      one.tool('read', () => ran.push('read'))
      one.tool('write', () => ran.push('write'))
    })
    const client = await connect(line, clientOf(line, { kest: agent, carry: true }), server)
    await within(agent, 'agent.run', async () => {
      await client.call('read')
      await expect(client.call('write')).rejects.toMatchObject(refusal('ERR_KEST_DENIED'))
    })
    await expect(client.call('read')).rejects.toMatchObject(refusal('ERR_KEST_LINEAGE_MISSING'))
    expect(ran).toEqual(['read'])
  })

  it('K-EDGE removes kest.* from _meta, unread; the members of others stay', async () => {
    const shown: unknown[] = []
    const server = serverOf(line, { kest: service('tools'), origin: 'user_input', policy: 'mcp' }, (one) =>
      one.tool('tool', (_, { meta }) => shown.push(meta?.['baggage'], operations(), tip()?.trust_score)),
    )
    const client = await connect(line, clientOf(line, null), server)
    await client.call('tool', {}, { meta: { baggage: 'kest.passport=%5B%22x%22%5D,KEST.user=eve,tenant=a' } })
    expect(shown).toEqual(['tenant=a', ['mcp:tools/call:tool'], 40])
  })

  it('K-ONE refuses lineage that is malformed, doubled, or in a _meta of another form', async () => {
    const server = serverOf(line, { kest: service('tools'), policy: 'mcp' }, (one) =>
      one.tool('tool', () => 1),
    )
    const client = await connect(line, clientOf(line, null), server)
    const call = (baggage: unknown) => client.call('tool', {}, { meta: { baggage } as never })
    await expect(call('kest.passport=%5B')).rejects.toMatchObject(refusal('ERR_KEST_PASSPORT_MALFORMED'))
    await expect(call('kest.user=a,kest.user=b')).rejects.toMatchObject(refusal('ERR_KEST_BAGGAGE'))
    await expect(call({ 'kest.passport': '[]' })).rejects.toMatchObject(refusal('ERR_KEST_BAGGAGE'))
    await expect(call(7)).rejects.toMatchObject(refusal('ERR_KEST_BAGGAGE'))
    await expect(
      client.call('tool', {}, { meta: { Baggage: 'kest.user=a', BAGGAGE: 'kest.user=b' } }),
    ).rejects.toMatchObject(refusal('ERR_KEST_BAGGAGE'))
  })

  it('K-DENIAL takes a signed denial in _meta for no entry, by a workload that it knows', async () => {
    const ran: string[] = []
    const server = serverOf(line, { kest: service('tools'), policy: 'mcp' }, (one) =>
      one.tool('tool', () => ran.push('tool')),
    )
    const client = await connect(line, clientOf(line, null), server)
    for (const typ of ['kest-denial', 'JWS']) {
      const baggage = `kest.passport=${encodeURIComponent(JSON.stringify([denialBy('agent', typ)]))}`
      const code = typ === 'JWS' ? 'ERR_KEST_ENTRY_SCHEMA' : 'ERR_KEST_ENTRY_HEADER'
      await expect(client.call('tool', {}, { meta: { baggage } })).rejects.toMatchObject(refusal(code))
    }
    expect(ran).toEqual([])
  })

  it('K-STATE runs a handler in its operation, whose state ends with the answer', async () => {
    const kest = service('tools')
    let later = async (): Promise<unknown> => undefined
    const server = serverOf(line, { kest, policy: 'mcp' }, (one) =>
      one.tool('tool', async () => {
        const inner = kest.verified({ operation: 'inner', policy: 'any' }, () => operations())
        later = kest.bind(() => inner())
        return [getCurrentUser(), await inner()]
      }),
    )
    const client = await connect(line, clientOf(line, { kest: agent, carry: true }), server)
    const answer = await within(agent, 'agent.run', () => client.call('tool'), 'alice')
    expect(answer).toEqual(['alice', ['agent.run', 'mcp:tools/call:tool', 'inner']])
    await expect(later()).rejects.toMatchObject({ code: 'ERR_KEST_STATE_ENDED' })
  })

  it('K-MCP records the SHA-256 of the arguments, and a keyed hash where pseudonyms are on', async () => {
    const sha256 = createHash('sha256').update('{"a":[1,{"b":null}],"text":"x"}').digest('hex')
    const args = { text: 'x', a: [1, { b: null }] }
    const hashes: unknown[] = []
    const pseudonyms = new MemoryPseudonymKeys()
    for (const subject of [undefined, { pseudonyms }, { pseudonyms }]) {
      const kest = service('tools', subject === undefined ? {} : { subject })
      const server = serverOf(line, { kest, policy: 'mcp' }, (one) =>
        one.tool('tool', () => void hashes.push(tip()?.input_hash)),
      )
      const client = await connect(line, clientOf(line, { kest: agent, carry: true }), server)
      await within(agent, 'agent.run', () => client.call('tool', args))
    }
    expect(hashes[0]).toBe(sha256)
    expect(hashes[1]).toMatch(/^[0-9a-f]{64}$/)
    expect(hashes[1]).not.toBe(sha256)
    expect(hashes[2]).toBe(hashes[1])
  })

  it('K-MCP records the SHA-256 of the parameters of a read, but for _meta, and of the arguments of a prompt', async () => {
    const kest = service('tools')
    const begun = vi.spyOn(kest, 'begin')
    const server = serverOf(line, { kest, policy: 'mcp' }, () => {})
    const client = await connect(line, clientOf(line, { kest: agent, carry: true }), server)
    await within(agent, 'agent.run', async () => {
      await client.read('doc://one')
      await client.prompt('greet')
    })
    const tips = begun.mock.results.map(async ({ value }) => (await value).entry.entry)
    const [reading, prompting] = await Promise.all(tips)
    const sha256 = (text: string) => createHash('sha256').update(text).digest('hex')
    expect(reading).toMatchObject({
      operation: 'mcp:resources/read:doc://one',
      input_hash: sha256('{"uri":"doc://one"}'),
    })
    // A prompt has a name and arguments, as a tool has; here there are none.
    expect(prompting).toMatchObject({ operation: 'mcp:prompts/get:greet', input_hash: sha256('{}') })
  })

  it('refuses servers and options that are wrong, and a server that is connected or protected', async () => {
    const kest = service('tools')
    const wrong: readonly unknown[] = [
      undefined,
      {},
      { kest },
      { kest, policy: [] },
      { kest, policy: 'mcp', operation: { policy: 'mcp' } },
      { kest, policy: 'mcp', operation: { taints: [] } },
      { kest, policy: 'mcp', open: ['tools/call'] },
      { kest, policy: 'mcp', open: 'tools/list' },
      { kest, policy: 'mcp', polices: [] },
      { kest: {}, policy: 'mcp' },
      { kest, policy: 'mcp', stateGraceMs: -1 },
      { kest, policy: 'mcp', toClient: {} },
      { kest, policy: 'mcp', toClient: { carry: ['http://client'] } },
    ]
    for (const options of wrong)
      expect(() => protectMcpServer(line.server().mcp, options as never), JSON.stringify(options)).toThrow(
        expect.objectContaining({ code: 'ERR_KEST_CONFIG' }),
      )
    const options = { kest, policy: 'mcp' }
    expect(() => protectMcpServer({} as never, options)).toThrow(/connect\(\) and request\(\)/)
    const twice = protectMcpServer(line.server().mcp, options)
    expect(() => protectMcpServer(twice, options)).toThrow(/twice/)
    const connected = line.server()
    await connected.mcp.connect(line.pair()[1])
    expect(() => protectMcpServer(connected.mcp, options)).toThrow(/connected/)
    await connected.mcp.close()
  })
})
