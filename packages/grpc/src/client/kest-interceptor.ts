import type { Interceptor } from '@grpc/grpc-js'
import { assertOptions, type BoundRule, contextOfNow, createSender, KestConfigError } from '@kest/core'
import { Dispatch } from './dispatch.js'
import { OwnCall } from './own-call.js'
import { PassportCredentials } from './passport-credentials.js'

/** Whom a client calls, and who gets the passport. */
export interface KestInterceptorOptions extends Omit<BoundRule, 'redirects'> {
  /**
   * Whom the client calls, as an origin: `https://orders:50051`, or `http://` where nothing is encrypted. A channel does not
   * say it to its interceptors. `propagateTo` judges it, and a hop token is for it (`audiences` of the receiver).
   */
  readonly target: string
}

/**
 * The outbound side, for the `interceptors` of one grpc-js client, where it is the last: puts the passport on its calls, if
 * its target is in `propagateTo`, and otherwise nothing of Kest's; `kest.*` members that somebody else has put there are removed
 * either way. Each attempt of a call has its own, with a hop token of its own; waiting for it ends with deadline and
 * cancellation. Listeners and callbacks of a call run where it was made.
 *
 * Make one for each client: it believes that its calls go to `target`.
 *
 * @param options.target whom the client calls; required
 * @param options.propagateTo which origins receive the passport; required (K-SCOPE)
 * @param options.hop whether each attempt carries a token of the sender (K-HOP); default `false`. It can be bound to the method (`POST`)
 *   and the path (`/package.Service/Method`), and to no messages (K-BODY)
 * @param options.kest default: the instance of `configure()`, as it is at each attempt
 * @param options.state whose passport; default: that of the ambient state where a call is made
 * @throws {KestConfigError} for options that are missing, unknown or wrong
 *
 * @example
 * ```ts
 * const kest = createKestInterceptor({ target: 'http://orders:50051', propagateTo: ['http://orders:50051'] })
 * const orders = new OrdersClient('orders:50051', credentials.createInsecure(), { interceptors: [kest] })
 * ```
 */
export function createKestInterceptor(options: KestInterceptorOptions): Interceptor {
  assertOptions('createKestInterceptor', options, ['target', 'propagateTo', 'hop', 'kest', 'state'])
  const { target, ...rule } = options
  const url = parseTarget(target)
  const sender = createSender(rule)
  if (sender.binds.has('body'))
    throw new KestConfigError(
      'createKestInterceptor.hop: the metadata of a call is made before its messages: no "body" (K-BODY)',
    )
  return function kestInterceptor(callOptions, nextCall) {
    const inContext = contextOfNow()
    const dispatch = new Dispatch(inContext, sender, url, callOptions.method_definition.path)
    const credentials = new PassportCredentials(dispatch, callOptions.credentials)
    return new OwnCall(nextCall({ ...callOptions, credentials }), inContext, dispatch, callOptions.deadline)
  }
}

function parseTarget(target: unknown): URL {
  if (typeof target === 'string' && /^https?:\/\/[^\s/?#@\\%*]+$/i.test(target) && URL.canParse(target))
    return new URL(target)
  throw new KestConfigError(
    `createKestInterceptor.target: expected whom the client calls, as an origin like "https://orders:50051", got ${JSON.stringify(target) ?? typeof target}`,
  )
}
