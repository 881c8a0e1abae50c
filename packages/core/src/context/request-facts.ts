import type { ArrivedRequest } from '../ingress/arrived.js'
import { oneLine } from '../telemetry/one-line.js'

/** What an operator's log says of a request, besides why it was refused. Bounded, and each on one line. */
export interface RequestFacts {
  readonly method: string
  /** The route's pattern, where it is known. */
  readonly route?: string
  /** Where no route is known: the path, without what follows a `?`. */
  readonly path?: string
  /** The address of whoever is at the other end, or whom the framework takes for it. */
  readonly peer?: string
  readonly request_id?: string
}

/** Asked when there is a line to write. */
export type AboutRequest = () => RequestFacts

/** What the framework knows beyond `node:http`. */
export interface KnownToFramework {
  readonly route?: string | undefined
  /** Default: that of the connection. */
  readonly peer?: unknown
  /** Default: the header `x-request-id`. */
  readonly id?: unknown
}

const MAX = { method: 32, path: 200, peer: 64, id: 128 } as const

/**
 * For adapters: what to say of a request in the log, as {@link InboundRequest.about}.
 *
 * @param known where the framework's own getters fail, as those that call functions of the application may, the line does
 *   without them
 *
 * @example
 * ```ts
 * const about = () => requestFacts(req, () => ({ route: req.route?.path, peer: req.ip }))
 * await listener.receive({ headers: req.headers, rawHeaders: req.rawHeaders, about })
 * ```
 */
export function requestFacts(
  request: ArrivedRequest & { readonly originalUrl?: unknown },
  known: () => KnownToFramework = () => ({}),
): RequestFacts {
  const { route, peer, id } = askFramework(known)
  const { method, url, originalUrl, headers, socket } = request
  const where = typeof originalUrl === 'string' ? originalUrl : (url ?? '')
  const from =
    textOf(peer, MAX.peer) ??
    textOf((socket as { readonly remoteAddress?: unknown } | undefined)?.remoteAddress, MAX.peer)
  const name = textOf(id, MAX.id) ?? textOf(headers?.['x-request-id'], MAX.id)
  return {
    method: oneLine(String(method), MAX.method),
    ...(route === undefined
      ? { path: oneLine(where.split(/[?#]/, 1)[0] as string, MAX.path) }
      : { route: oneLine(route, MAX.path) }),
    ...(from !== undefined && { peer: from }),
    ...(name !== undefined && { request_id: name }),
  }
}

function askFramework(known: () => KnownToFramework): KnownToFramework {
  try {
    return known()
  } catch {
    return {}
  }
}

function textOf(value: unknown, max: number): string | undefined {
  if (typeof value === 'number') return String(value)
  return typeof value === 'string' && value !== '' ? oneLine(value, max) : undefined
}
