import { createKest } from '@kest/core'
import { Client as Client2 } from '@modelcontextprotocol/client'
import { Client } from '@modelcontextprotocol/sdk/client/index.js'
import { Server } from '@modelcontextprotocol/sdk/server/index.js'
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js'
import { McpServer as McpServer2, Server as Server2 } from '@modelcontextprotocol/server'
import {
  kestMcpClient,
  type McpClientOptions,
  type McpRequest,
  type McpResult,
  type McpServerOptions,
  protectMcpServer,
} from './index.js'

const kest = createKest({})
const info = { name: 'n', version: '1.0.0' }

// What is given is what is answered, of both lines.
export const high: McpServer = protectMcpServer(new McpServer(info), { policy: 'mcp' })
export const low: Server = protectMcpServer(new Server(info), { policy: ['mcp', 'tools'], kest })
export const high2: McpServer2 = protectMcpServer(new McpServer2(info), {
  policy: ({ name }) => name ?? 'mcp',
})
export const low2: Server2 = protectMcpServer(new Server2(info), { policy: () => undefined })
export const client: Client = kestMcpClient(new Client(info), { carry: true })
export const client2: Client2 = kestMcpClient(new Client2(info), {
  carry: ['https://tools'],
  hop: true,
  kest,
})

export const server: McpServerOptions = {
  policy: ({ method, name, arguments: { order } }: McpRequest) => `${method} ${name} ${order}`,
  operation: { addedTaints: ['pii'], resource: (request) => ({ id: request.name ?? request.method }) },
  open: ['completion/complete'],
  stateGraceMs: 0,
  origin: 'user_input',
  toClient: { carry: true, results: { policy: 'results' } },
}
export const options: McpClientOptions = {
  carry: (url) => url.protocol === 'https:',
  results: {
    policy: ({ name }: McpResult) => `results/${name}`,
    origin: ({ name }) => (name === 'own' ? 'internal' : 'llm'),
  },
  fromServer: { policy: 'asked', lineage: 'optional' },
}

// @ts-expect-error a policy is required
protectMcpServer(new McpServer(info), {})
// @ts-expect-error a promise is no policy
protectMcpServer(new McpServer(info), { policy: async () => 'mcp' })
// @ts-expect-error no list of policies is empty
protectMcpServer(new McpServer(info), { policy: [] })
// @ts-expect-error unknown option
protectMcpServer(new McpServer(info), { policy: 'mcp', polices: [] })
// @ts-expect-error the policy is not one of the values
protectMcpServer(new McpServer(info), { policy: 'mcp', operation: { policy: 'mcp' } })
// @ts-expect-error a client has no origin
protectMcpServer(new McpServer(info), { policy: 'mcp', toClient: { carry: ['https://client'] } })
// @ts-expect-error not a server
protectMcpServer({}, { policy: 'mcp' })
// @ts-expect-error it has to be said who gets the passport
kestMcpClient(new Client(info), {})
// @ts-expect-error a single origin is no list
kestMcpClient(new Client(info), { carry: 'https://tools' })
// @ts-expect-error results are taken by policy
kestMcpClient(new Client(info), { carry: true, results: {} })
// @ts-expect-error a server speaks for no other instance
kestMcpClient(new Client(info), { carry: true, fromServer: { policy: 'asked', kest } })
// @ts-expect-error not a client
kestMcpClient({ connect: async () => {} }, { carry: true })
