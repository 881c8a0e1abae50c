import { currentState, getCurrentUser, type Kest } from '@kest/core'
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client'
import { createMcpHandler, inputRequired, McpServer } from '@modelcontextprotocol/server'
import { describe, expect, it, onTestFinished } from 'vitest'
import { z } from 'zod'
import { CALLEE, receiptCallee, receiptCaller } from '../../../tests/outbound/receipts.js'
import { kestMcpClient, protectMcpServer } from '../src/index.js'
import { service, within } from './support/services.js'

const agent = service('agent')
const tools = service('tools')
const URL_OF_TOOLS = new URL('http://tools.example/mcp')

/** A server that is made for each request, as this revision of the protocol has it, and a client that speaks to it. */
async function connected(
  register: (server: McpServer) => void,
  { client: own = agent, server: theirs = tools }: { readonly client?: Kest; readonly server?: Kest } = {},
): Promise<Client> {
  const protection = { kest: theirs, policy: 'mcp' }
  const handler = createMcpHandler(() => {
    const server = protectMcpServer(new McpServer({ name: 'server', version: '1.0.0' }), protection)
    register(server)
    return server
  })
  const info = { name: 'client', version: '1.0.0' }
  const options = {
    versionNegotiation: { mode: { pin: '2026-07-28' } },
    capabilities: { elicitation: {} },
  } as const
  const client = kestMcpClient(new Client(info, options), { kest: own, carry: [URL_OF_TOOLS.origin] })
  onTestFinished(() => client.close())
  const fetch = (url: string | URL, init?: RequestInit) => handler.fetch(new Request(url, init))
  await client.connect(new StreamableHTTPClientTransport(URL_OF_TOOLS, { fetch }))
  return client
}

/** A result that asks the caller's user for something first. */
function areYouSure() {
  return inputRequired({
    inputRequests: {
      sure: inputRequired.elicit({
        message: 'sure?',
        requestedSchema: { type: 'object', properties: {} },
      }),
    },
  })
}

describe('protocol 2026-07-28, line 2', () => {
  it('K-MCP judges each call of servers that are made for each request', async () => {
    const client = await connected((server) => {
      server.registerTool('show', { inputSchema: z.object({}) }, () => ({
        content: [
          {
            type: 'text',
            text: `${getCurrentUser()} ${currentState()?.frame.lineage.map((one) => one.entry.operation)}`,
          },
        ],
      }))
    })
    expect((await client.listTools()).tools.map(({ name }) => name)).toEqual(['show'])
    const call = () => client.callTool({ name: 'show', arguments: {} })
    expect(await within(agent, 'agent.run', call, 'alice')).toMatchObject({
      content: [{ text: 'alice agent.run,mcp:tools/call:show' }],
    })
    await expect(call()).rejects.toMatchObject({ code: -32003, data: { code: 'ERR_KEST_LINEAGE_MISSING' } })
  })

  it('K-STATE keeps a call that is asked for more input in the state of its caller', async () => {
    const client = await connected((server) => {
      server.registerTool('ask', { inputSchema: z.object({}) }, (_, { mcpReq }) =>
        mcpReq.inputResponses === undefined
          ? areYouSure()
          : { content: [{ type: 'text', text: String(getCurrentUser()) }] },
      )
    })
    client.setRequestHandler('elicitation/create', async () => ({ action: 'accept', content: {} }))
    const users = ['alice', 'bob', 'carol']
    const answers = await Promise.all(
      users.map((user) => within(agent, 'run', () => client.callTool({ name: 'ask', arguments: {} }), user)),
    )
    expect(answers.map(({ content }) => content)).toEqual(users.map((text) => [{ type: 'text', text }]))
  })

  it('K-MCP K-SCOPE reads for each caller, and never out of the cache of the SDK what was read for another', async () => {
    const client = await connected((server) => {
      server.registerResource('mine', 'doc://mine', {}, (uri) => ({
        contents: [{ uri: uri.href, text: String(getCurrentUser()) }],
        ttlMs: 3_600_000,
        cacheScope: 'private',
      }))
    })
    const read = async (user: string) => {
      const result = await within(agent, 'run', () => client.readResource({ uri: 'doc://mine' }), user)
      return (result.contents[0] as { text?: string } | undefined)?.text
    }
    for (const user of ['alice', 'bob']) expect(await read(user)).toBe(user)
  })

  it('K-RECEIPT asks for a receipt of each call, and of none that the SDK makes again by itself for what was asked for', async () => {
    const asks = (server: McpServer): void => {
      server.registerTool('ask', { inputSchema: z.object({}) }, (_, { mcpReq }) =>
        mcpReq.inputResponses === undefined ? areYouSure() : { content: [{ type: 'text', text: 'done' }] },
      )
      server.registerTool('plain', { inputSchema: z.object({}) }, () => ({
        content: [{ type: 'text', text: 'plain' }],
      }))
    }
    for (const mode of ['accept', 'require'] as const) {
      const callee = receiptCallee()
      const caller = receiptCaller({ [URL_OF_TOOLS.origin]: CALLEE }, { mode })
      const client = await connected(asks, { client: caller.kest, server: callee.kest })
      client.setRequestHandler('elicitation/create', async () => ({ action: 'accept', content: {} }))
      await within(caller.kest, 'run', async () => {
        expect(await client.callTool({ name: 'plain', arguments: {} })).toMatchObject({
          content: [{ text: 'plain' }],
        })
        const asked = client.callTool({ name: 'ask', arguments: {} })
        if (mode === 'accept') expect(await asked).toMatchObject({ content: [{ text: 'done' }] })
        else await expect(asked).rejects.toMatchObject({ code: 'ERR_KEST_RECEIPT' })
      })
      expect(caller.receipts()).toHaveLength(2)
      const calls = callee.entries().flatMap(({ labels }) => labels['kest.call'] ?? [])
      expect(new Set(calls).size).toBe(2)
      expect(calls).toHaveLength(2)
    }
  })
})
