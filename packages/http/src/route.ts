import type { ClientRequest } from 'node:http'

/** What a request was told of its way, as far as Kest looks at it. */
export interface RequestOptions {
  /** Where it is connected to. */
  readonly host?: unknown
  /** Where the caller wanted it to go. An agent may have put another `host` beside it. */
  readonly hostname?: unknown
  readonly port?: unknown
  readonly defaultPort?: unknown
  readonly path?: unknown
  readonly socketPath?: unknown
}

/** Where a request goes. */
export interface Route {
  /** Who reads it, which is what the rule of K-SCOPE judges; `null` for what cannot be named by an origin. */
  readonly to: URL | null
  /** Whom it asks, in the caller's words, whatever its agent was told: a redirect in the answer is relative to that. */
  readonly asks: URL
  /** Whether a proxy reads it that does not say who it is. */
  readonly unclear: boolean
}

/** An agent, as far as it tells where it goes: Node's, those of agent-base and its kin, tunnel-agent. */
interface Agent {
  readonly options?: RequestOptions
  readonly defaultPort?: unknown
  readonly proxy?: unknown
  readonly proxyOptions?: unknown
  readonly getProxyForUrl?: unknown
}

/** Has no origin, and so is never in scope. */
export const NO_ORIGIN = new URL('unix:')
/** What `URL` would read otherwise than whoever looks the name up. */
const NO_HOST = /[\s/?#@\\%]/
const ABSOLUTE_FORM = /^[a-z][a-z0-9+.-]*:/i

/**
 * Where a request goes. What an agent was told overrides what the request says, as in Node; the header `host` counts for
 * nothing; a socket path has no origin. Plain HTTP through a proxy is read by the proxy, and goes to that one.
 *
 * @param options as the request was made with
 * @param agent that it goes through; none where it makes its connection itself
 */
export function routeOf(request: ClientRequest, options: RequestOptions, agent: unknown): Route {
  const through: Agent = typeof agent === 'object' && agent !== null ? agent : {}
  // Node takes anything that can be made a text.
  const path = String(request.path)
  const { stated, direct } = urlsOf(request.protocol, options, through)
  const said = withPath(stated, path)
  const asks = absolute(path) ?? said
  if (direct === null) return { to: null, asks, unclear: false }
  if (request.protocol === 'https:' || !isProxied(request, options, through))
    return { to: direct === stated ? said : withPath(direct, path), asks, unclear: false }
  const proxy = originOf(through.proxy ?? ownProxy(through))
  return { to: proxy ?? direct, asks, unclear: proxy === null }
}

/** Whether a path names its host itself, as a proxy is asked. */
export function isAbsoluteForm(path: unknown): boolean {
  return ABSOLUTE_FORM.test(String(path))
}

/** What the caller said, and where it is connected to; `null` for what has no origin. */
function urlsOf(
  protocol: string,
  options: RequestOptions,
  agent: Agent,
): { readonly stated: URL | null; readonly direct: URL | null } {
  // Those of other agents are for themselves. Node's own have a path always, and it is none.
  const own = isObject(agent.options) && Object.hasOwn(agent.options, 'path') ? agent.options : {}
  const told = (name: 'host' | 'port' | 'socketPath', otherwise: unknown): unknown =>
    Object.hasOwn(own, name) ? own[name] : otherwise
  const port = options.port || options.defaultPort || agent.defaultPort || 80
  const statedText = textOf(protocol, options.hostname || options.host, port)
  const directText = textOf(protocol, told('host', options.host), told('port', port))
  const stated = parsed(statedText)
  if (told('socketPath', options.socketPath)) return { stated, direct: null }
  return { stated, direct: directText === statedText ? stated : parsed(directText) }
}

/** `null` for a name that is none. */
function textOf(protocol: string, name: unknown, port: unknown): string | null {
  const host = String(name || 'localhost')
  if (NO_HOST.test(host)) return null
  return `${protocol}//${host.includes(':') && !host.startsWith('[') ? `[${host}]` : host}:${port}`
}

/** The URL of an origin; `null` for a name that `URL` would read otherwise than whoever looks it up. */
export function originAt(protocol: string, name: unknown, port: unknown): URL | null {
  return parsed(textOf(protocol, name, port))
}

function parsed(text: string | null): URL | null {
  return text !== null && URL.canParse(text) ? new URL(text) : null
}

/** Whether it is read on its way. Node's own agents write the whole URL into the path before the request is handed over. */
function isProxied(request: ClientRequest, options: RequestOptions, agent: Agent): boolean {
  return (
    Boolean(agent.proxy) ||
    Boolean(agent.proxyOptions) ||
    typeof agent.getProxyForUrl === 'function' ||
    (isAbsoluteForm(request.path) && !isAbsoluteForm(options.path))
  )
}

/** Node keeps it under a symbol of this description. */
function ownProxy(agent: Agent): unknown {
  const symbol = Object.getOwnPropertySymbols(agent).find(({ description }) => description === 'kProxyConfig')
  return symbol === undefined ? undefined : Reflect.get(agent, symbol)
}

function originOf(proxy: unknown): URL | null {
  const url = absolute(isObject(proxy) ? Reflect.get(proxy, 'href') : proxy)
  return url === null || url.origin === 'null' ? null : new URL(url.origin)
}

function absolute(text: unknown): URL | null {
  return typeof text === 'string' && isAbsoluteForm(text) && URL.canParse(text) ? new URL(text) : null
}

/** For rules that are functions, and for redirects. A path that is none is left out. */
export function withPath(origin: URL | null, path: string): URL {
  if (origin === null || origin.origin === 'null') return NO_ORIGIN
  return path.startsWith('/') ? new URL(origin.origin + path) : origin
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null
}
