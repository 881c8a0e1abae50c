import { type Metadata, ServerInterceptingCall, type ServerInterceptor } from '@grpc/grpc-js'
import { type AdapterOptions, createIngress, KestConfigError, takeLineageOut } from '@kest/core'
import { withReceipt } from '../receipt.js'
import { headersOf, keepRestOf } from './metadata.js'
import { MethodRules, type MethodsOptions } from './methods.js'
import { ProtectedCall } from './protected-call.js'

/** How calls come in: where from, what they must bring, and what each method's operation is. */
export interface KestGrpcOptions
  extends Omit<AdapterOptions, 'onError' | 'require' | 'maxBodyBytes'>,
    MethodsOptions {
  /** With `binding: 'hop'`: what each token must bind of its call: `method` (`POST`), `path` (`/package.Service/Method`), and no messages (K-BODY). */
  readonly require?: readonly ('method' | 'path')[] | undefined
}

/**
 * The inbound side, for the `interceptors` of a grpc-js server, where it is the first: judges lineage and token of each call,
 * decides, and signs one entry for it, before its handler runs and before its first message is read, in all four forms. The
 * operation is the method, `/package.Service/Method` (K-RPC).
 *
 * What is refused reaches no handler: it ends with a status, and its code in the metadata `kest-error`. A method without options
 * is refused with `INTERNAL`, at the start where `services` are named, else at the call.
 *
 * Not seen, because grpc-js asks no interceptor: calls of methods that the server does not have. It answers `UNIMPLEMENTED`.
 *
 * @throws {KestConfigError} for options that are missing, unknown or wrong, a method without options, an internal listener
 * without trust material, and when Kest is not configured
 *
 * @example
 * ```ts
 * const server = new Server({
 *   interceptors: [kestGrpc({ methods: { '/shop.Orders/*': { policy: 'orders/read' } }, services: [orders.service] })],
 * })
 * ```
 */
export function kestGrpc(options: KestGrpcOptions): ServerInterceptor {
  const { methods, open, services, ...adapterOptions } = options ?? {}
  if (Object.hasOwn(adapterOptions, 'onError'))
    throw new KestConfigError('kestGrpc: unknown option "onError": a refused call ends with a status')
  if (
    Object.hasOwn(adapterOptions, 'maxBodyBytes') ||
    [adapterOptions.require].flat().includes('body' as 'path')
  )
    throw new KestConfigError(
      'kestGrpc.require: a token is judged before the messages of its call come: no "body" (K-BODY)',
    )
  const rules = new MethodRules('kestGrpc', { methods, open, services })
  const ingress = createIngress('kestGrpc', adapterOptions)
  return function kestInterceptor({ path }, call) {
    if (!rules.isOpen(path)) return new ProtectedCall(call, path, rules, ingress)
    const onReceiveMetadata = (metadata: Metadata, next: (metadata: Metadata) => void): void => {
      withoutLineage(metadata)
      next(metadata)
    }
    return new ServerInterceptingCall(call, {
      start: (next) => next({ onReceiveMetadata }),
      sendMetadata: (metadata, next) => next(withReceipt(metadata, null)),
      sendStatus: (ended, next) => next({ ...ended, metadata: withReceipt(ended.metadata, null) }),
    })
  }
}

function withoutLineage(metadata: Metadata): void {
  const headers = headersOf(metadata, ['baggage'])
  if (takeLineageOut(headers) > 0) keepRestOf(headers, metadata)
}
