import { assertOptions, type Kest } from '@kest/core'
import { Inbound, type McpInboundOptions } from './inbound.js'
import { type Interceptor, intercept } from './intercept.js'
import type { Transport } from './message.js'
import { type McpOutgoingOptions, Outgoing } from './outgoing.js'
import { passOn } from './pass-on.js'
import { takeOnce } from './take-once.js'

/** `Client`, of any line of the SDK. */
export interface McpClientLike {
  connect(transport: never): Promise<void>
  request(request: never, schema: never): Promise<unknown>
}

export interface McpClientOptions extends McpOutgoingOptions {
  /** How what the server asks for (sampling, elicitation) is judged. Default: it is not, and brings no lineage. */
  readonly fromServer?: Omit<McpInboundOptions, 'kest'> | undefined
}

/**
 * Lets a client's calls carry the passport of whoever makes them, in `params._meta.baggage` (K-MCP): `tools/call`, `resources/read`,
 * `prompts/get` and whatever else does more than tell what there is. One client may serve many users: each call has the passport of the
 * state in which it is made, and `onprogress` is called in it. To a server that was not told of nothing of Kest's goes: it is taken out of
 * `_meta`, whoever wrote it, and the members of others are kept.
 *
 * What the server did does not come back with its answer. `results` records the answer as an operation of this workload's, by default of
 * origin `third_party_api`; without it the caller states what it knows (`addedTaints`).
 *
 * @param client that is not connected yet; it is the one that is answered
 * @param options.carry whether the server gets the passport: `true`, `false`, or origins; required. Over stdio there is no origin
 * @param options.fromServer judges what the server asks for; default: it is handed on without lineage
 * @throws {KestConfigError} for options that are missing, unknown or wrong, a client that is connected or was given before
 *
 * `client.request` rejects, and nothing is sent, with what `Outbound.depart` throws, such as `ERR_KEST_STATE_ENDED`; where its answer has no receipt that
 * holds, and receipts are asked for of an origin in `carry`, with `ERR_KEST_RECEIPT`: then the server may have acted (K-RECEIPT).
 *
 * @example
 * ```ts
 * const client = kestMcpClient(new Client({ name: 'agent', version: '1.0.0' }), { carry: ['https://tools.example.org'] })
 * await client.connect(new StreamableHTTPClientTransport(new URL('https://tools.example.org/mcp')))
 * ```
 */
export function kestMcpClient<C extends McpClientLike>(client: C, options: McpClientOptions): C {
  const where = 'kestMcpClient'
  assertOptions(where, options, ['carry', 'hop', 'results', 'kest', 'fromServer'])
  const { fromServer, ...outgoingOptions } = options
  const outgoing = new Outgoing(where, outgoingOptions)
  const attach = attachOf(fromServer, options.kest)
  const protocol = takeOnce(where, client)
  const { connect, request } = protocol
  let stand = (): void => {}
  protocol.connect = async (transport, ...rest) => {
    outgoing.connects(transport)
    stand = attach(transport, (interceptor) => outgoing.receipts.around(transport, interceptor))
    await connect.call(protocol, transport, ...rest)
    stand()
  }
  protocol.request = (...args) => {
    // Who negotiates a version starts the transport first, and takes it over then.
    stand()
    return request.apply(protocol, args)
  }
  outgoing.takes(protocol)
  return client
}

function attachOf(fromServer: McpClientOptions['fromServer'], kest: Kest | undefined): Inbound['attach'] {
  if (fromServer !== undefined) {
    const inbound = new Inbound('kestMcpClient.fromServer', { ...fromServer, kest })
    return (transport, around) => inbound.attach(transport, around)
  }
  return (transport: Transport, around = (one) => one) => {
    const interceptor: Interceptor = {
      received: (message, extra, deliver) => void passOn(message, extra, deliver, transport),
      receiptOf: () => null,
      answered: () => {},
      closed: () => {},
    }
    return intercept(transport, around(interceptor))
  }
}
