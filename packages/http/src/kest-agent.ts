import {
  assertOptions,
  type BoundRule,
  boundMethods,
  createSender,
  KestConfigError,
  standIn,
} from '@kest/core'
import { type AddRequest, propagateThrough } from './agent-patch.js'

/**
 * Makes an agent whose requests carry the passport (F-CP-03), for those who do not patch: give it wherever a client takes an
 * agent. It is the agent that was given, but for `addRequest`.
 *
 * An agent sees a request when Node has made it. What Node writes at once it cannot change: a request whose headers are a
 * list, or that has `Expect`, is destroyed with `ERR_KEST_OUTBOUND` if anything of Kest's would have to be put on it or
 * taken off. `patchHttp` has no such limit.
 *
 * @param agent of `node:http` or `node:https`, or anything that is used like one
 * @param options.propagateTo which origins receive the passport; required (K-SCOPE)
 * @param options.hop whether each request carries a token of the sender (K-HOP); default `false`
 * @param options.kest default: the instance of `configure()`, as it is at the time of each request
 * @param options.state whose passport; default: that of the ambient state of each request
 * @param options.redirects whether redirects are followed with a passport; default `'refuse'`
 * @throws {KestConfigError} for options that are missing, unknown or wrong, and for what is no agent
 *
 * @example
 * ```ts
 * const httpsAgent = createKestAgent(new Agent({ keepAlive: true }), { propagateTo: ['https://*.svc.local'] })
 * await axios.get('https://orders.svc.local/', { httpsAgent })
 * ```
 */
export function createKestAgent<A extends object>(agent: A, options: BoundRule): A {
  if (typeof (agent as { addRequest?: unknown } | undefined)?.addRequest !== 'function')
    throw new KestConfigError('createKestAgent: expected an agent of node:http or node:https')
  assertOptions('createKestAgent', options, ['propagateTo', 'hop', 'kest', 'redirects', 'state'])
  const sender = createSender(options)
  return standIn(agent, {
    addRequest(...args: Parameters<AddRequest>) {
      propagateThrough(agent, sender, args)
      Reflect.apply(Reflect.get(agent, 'addRequest') as AddRequest, agent, args)
      // One of a class of its own may have said in the options where else it goes.
      propagateThrough(agent, sender, args)
    },
    ...boundMethods(agent, ['destroy']),
  })
}
