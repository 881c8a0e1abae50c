import { Agent, type ClientRequest } from 'node:http'
import { type Installed, replaceMethod, type Sender } from '@kest/core'
import { propagate } from './propagating.js'
import type { RequestOptions } from './route.js'

/** How Node hands a request to an agent. In the oldest form a host and a port come in place of the options. */
export type AddRequest = (
  this: unknown,
  request: ClientRequest,
  options: RequestOptions | string | undefined,
  port?: unknown,
  ...rest: unknown[]
) => void

/**
 * Sees the requests of all of Node's agents, whoever made them: also by a `request` that was taken out of its module before
 * that was patched.
 */
export function patchAgents(sender: Sender, enabled: () => boolean): Installed {
  const prototype = Agent.prototype as unknown as Record<'addRequest', AddRequest>
  return replaceMethod(
    prototype,
    'addRequest',
    enabled,
    (original) =>
      function kestAddRequest(...args) {
        propagateThrough(this, sender, args)
        Reflect.apply(original, this, args)
      },
  )
}

/** Puts the passport on a request that is handed to an agent. */
export function propagateThrough(
  agent: unknown,
  sender: Sender,
  [request, options, port]: Parameters<AddRequest>,
): void {
  propagate(request, typeof options === 'string' ? { host: options, port } : (options ?? {}), agent, sender)
}
