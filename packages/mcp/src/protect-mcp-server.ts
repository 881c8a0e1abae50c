import { assertOptions, KestConfigError } from '@kest/core'
import { Inbound, type McpInboundOptions } from './inbound.js'
import { Outgoing } from './outgoing.js'
import type { McpResultOptions } from './results.js'
import { takeOnce } from './take-once.js'

/** `Server` or `McpServer`, of any line of the SDK. */
export interface McpServerLike {
  connect(transport: never): Promise<void>
}

export interface McpServerOptions extends McpInboundOptions {
  /** What the server asks its client for (sampling, elicitation). Default: the client is a stranger. */
  readonly toClient?: McpToClientOptions | undefined
}

export interface McpToClientOptions {
  /** Whether the client gets the passport with what the server asks of it. */
  readonly carry: boolean
  /** Records what the client answers as its data: of origin `llm` (sampling), `user_input` (elicitation). Default: nothing is. */
  readonly results?: McpResultOptions | undefined
}

/** The two directions of a connection. */
interface Sides {
  readonly inbound: Inbound
  readonly outgoing: Outgoing
}

/** What was made of options: who makes a server for each request gives the same each time. */
const known = new WeakMap<McpServerOptions, Sides>()

/**
 * Lets a server act on nothing that was not decided (K-MCP): each request but those that only tell what there is becomes an operation,
 * `mcp:tools/call:<name>`, `mcp:resources/read:<uri>`, `mcp:prompts/get:<name>`, `mcp:<method>`, before the SDK sees it. So tools that
 * are registered later are covered, and no handler can catch a refusal. What is refused is answered with the JSON-RPC error -32003 and the
 * code in `data.code`. Handlers run within their operation, and what they call links to it.
 *
 * Lineage is taken from `params._meta.baggage` and, over HTTP, from the header, which must have the same tips if both bring any; within a
 * request that an adapter of Kest's has judged, it is that request's (K-CARRIER).
 *
 * Who asks for a receipt is answered with the entry of its call, in `_meta['kest-receipt']` of the result or in the `data` of the error (K-RECEIPT); nothing
 * else leaves under that name.
 *
 * Not checked: whether there is such a tool, and whether its arguments are of its schema. The SDK does, within the operation.
 *
 * @param server that is not connected yet; it is the one that is answered
 * @param options.policy the policies of each request, or a function that gives them; required
 * @param options.toClient whether the client gets the passport with what the server asks of it; default: it is a stranger
 * @throws {KestConfigError} for options that are missing, unknown or wrong, a server that is connected or protected already
 *
 * @example
 * ```ts
 * const server = protectMcpServer(new McpServer({ name: 'orders', version: '1.0.0' }), {
 *   policy: ({ method }) => (method === 'tools/call' ? 'mcp/tools' : 'mcp/read'),
 * })
 * await server.connect(new StdioServerTransport())
 * ```
 */
export function protectMcpServer<S extends McpServerLike>(server: S, options: McpServerOptions): S {
  const sides = known.get(options) ?? sidesOf('protectMcpServer', options)
  const { inbound, outgoing } = sides
  const protocol = takeOnce('protectMcpServer', server)
  known.set(options, sides)
  const { connect } = protocol
  protocol.connect = async (transport, ...rest) => {
    inbound.attach(transport)
    await connect.call(protocol, transport, ...rest)
  }
  outgoing.takes(protocol)
  return server
}

function sidesOf(where: string, options: McpServerOptions): Sides {
  if (typeof options !== 'object' || options === null)
    throw new KestConfigError(`${where}: expected an object of options`)
  const { toClient = { carry: false }, ...rest } = options
  assertOptions(`${where}.toClient`, toClient, ['carry', 'results'])
  if (typeof toClient.carry !== 'boolean')
    throw new KestConfigError(`${where}.toClient.carry: expected true or false`)
  return {
    inbound: new Inbound(where, rest),
    outgoing: new Outgoing(`${where}.toClient`, { ...toClient, kest: options.kest }),
  }
}
