import { KestConfigError } from '@kest/core'

/** Requests that keep a connection, tell what there is, or say that something has changed. They act on nothing, and read nothing. */
const OPEN: ReadonlySet<string> = new Set([
  'initialize',
  'ping',
  'server/discover',
  'logging/setLevel',
  'tools/list',
  'prompts/list',
  'resources/list',
  'resources/templates/list',
  'resources/subscribe',
  'resources/unsubscribe',
  'subscriptions/listen',
  'roots/list',
])

/** What a request names, by its method: part of the operation's name. */
const NAMED_BY: ReadonlyMap<string, string> = new Map([
  ['tools/call', 'name'],
  ['prompts/get', 'name'],
  ['resources/read', 'uri'],
])

/** What acts, reads or decides in any case, by the protocol. */
const CALLS: ReadonlySet<string> = new Set([
  ...NAMED_BY.keys(),
  'sampling/createMessage',
  'elicitation/create',
])

/** Whether line 2 of the SDK keeps what it was answered, beside what tells what there is, for as long as `ttlMs` says. */
export function isKept(method: unknown): boolean {
  return method === 'resources/read'
}

/** Whether a method needs no policy, and carries nothing. */
export function isOpen(method: string): boolean {
  return OPEN.has(method)
}

/** Whether it is never without a policy. */
export function isCall(method: string): boolean {
  return CALLS.has(method)
}

/** The parameter that names what a request is about. */
export function nameOf(method: string, params: Readonly<Record<string, unknown>>): unknown {
  const parameter = NAMED_BY.get(method)
  return parameter === undefined ? null : params[parameter]
}

/** `mcp:tools/call:add`, `mcp:completion/complete`. */
export function operationOf(method: string, name: string | null): string {
  return name === null ? `mcp:${method}` : `mcp:${method}:${name}`
}

/**
 * Methods that an application opens beside those.
 * @throws {KestConfigError} for what is no list of methods, and for calls
 */
export function toOpen(where: string, open: unknown): (method: string) => boolean {
  if (open === undefined) return isOpen
  if (!Array.isArray(open) || !open.every((method) => typeof method === 'string' && method !== ''))
    throw new KestConfigError(`${where}.open: expected a list of methods`)
  const call = open.find(isCall)
  if (call !== undefined)
    throw new KestConfigError(`${where}.open: "${call}" acts or reads, and needs a policy (K-MCP)`)
  const own = new Set<string>(open)
  return (method) => isOpen(method) || own.has(method)
}
