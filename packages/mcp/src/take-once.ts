import { KestConfigError } from '@kest/core'
import { isRecord, type Protocol } from './message.js'

const taken = new WeakSet<object>()

/**
 * What speaks the protocol: the object itself, or the `server` within an `McpServer`.
 * @throws {KestConfigError} for what is none, is connected, or was taken before
 */
export function takeOnce(where: string, object: unknown): Protocol {
  const within = (object as { readonly server?: unknown } | null)?.server
  const protocol = (isProtocol(within) ? within : object) as Protocol
  if (!isProtocol(protocol))
    throw new KestConfigError(
      `${where}: expected a client or server of the MCP SDK, with connect() and request()`,
    )
  if (protocol.transport !== undefined)
    throw new KestConfigError(
      `${where}: it is connected: requests that come or leave now would not be judged`,
    )
  if (taken.has(protocol)) throw new KestConfigError(`${where}: it is given twice`)
  taken.add(protocol)
  return protocol
}

function isProtocol(value: unknown): value is Protocol {
  return isRecord(value) && typeof value['connect'] === 'function' && typeof value['request'] === 'function'
}
