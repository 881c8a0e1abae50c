import {
  type ChannelCredentials,
  credentials,
  type Interceptor,
  type Metadata,
  Server,
  type ServerInterceptor,
  type ServerUnaryCall,
  type ServiceDefinition,
} from '@grpc/grpc-js'
import { createKest, type KestState } from '@kest/core'
import { createMtlsConnector, type MtlsSource, memberOf } from '@kest/spiffe'
import {
  connectionListener,
  createConnectorCredentials,
  createKestInterceptor,
  type IncomingCall,
  type KestGrpcOptions,
  type KestInterceptorOptions,
  kestGrpc,
  kestOf,
  type MethodOptions,
  type RequestKest,
} from './index.js'

const kest = createKest({})
const target = 'https://orders:50051'
const propagateTo = ['https://orders:50051'] as const
declare const service: ServiceDefinition
declare const state: KestState

// The server's side.
const methods = { '/shop.Orders/*': { policy: 'orders/read' } } as const
export const inbound: ServerInterceptor = kestGrpc({ methods, kest, services: [service] })
new Server({
  interceptors: [kestGrpc({ methods, origin: 'user_input', open: ['/grpc.health.v1.Health/*'] })],
})
kestGrpc({
  methods: (method) => (method.startsWith('/shop.') ? { policy: 'shop' } : undefined),
  binding: 'mtls',
})
kestGrpc({
  methods: {
    '/shop.Orders/Get': {
      policy: ['orders/read'],
      resource: ({ method, metadata, peer }: IncomingCall) => ({
        id: method + peer + String(metadata.get('x')),
      }),
      switchIdentity: true,
    },
  },
})
export const options: MethodOptions = {
  policy: 'orders/read',
  user: ({ metadata }) => String(metadata.get('u')),
}
// @ts-expect-error methods are required
kestGrpc({ kest })
// @ts-expect-error the options are required
kestGrpc()
// @ts-expect-error a policy is no options
kestGrpc({ methods: { '/shop.Orders/Get': 'orders/read' } })
// @ts-expect-error a method needs a policy
kestGrpc({ methods: { '/shop.Orders/Get': {} } })
// @ts-expect-error the operation is the method
kestGrpc({ methods: { '/shop.Orders/Get': { policy: 'x', operation: 'y' } } })
// @ts-expect-error there are no error handlers
kestGrpc({ methods, onError: 'next' })
// @ts-expect-error a list
kestGrpc({ methods, open: '/grpc.health.v1.Health/*' })
// @ts-expect-error unknown option
kestGrpc({ methods, policies: {} })
export type Options = KestGrpcOptions

declare const call: ServerUnaryCall<unknown, unknown>
export const own: RequestKest = kestOf(call)
export const byMetadata: RequestKest = kestOf({ metadata: {} as Metadata })
// @ts-expect-error no call
kestOf({})

// The client's side.
export const outbound: Interceptor = createKestInterceptor({ target, propagateTo, kest, hop: true })
createKestInterceptor({ target, propagateTo, hop: { bind: ['method', 'path'] } })
kestGrpc({ methods, binding: 'hop', audiences: ['https://orders'], require: ['path'] })
// @ts-expect-error messages come after the metadata
kestGrpc({ methods, binding: 'hop', audiences: ['https://orders'], require: ['body'] })
createKestInterceptor({ target, propagateTo: (url) => url.protocol === 'https:', state })
// @ts-expect-error the target is required
createKestInterceptor({ propagateTo })
// @ts-expect-error the rule is required
createKestInterceptor({ target })
// @ts-expect-error no state
createKestInterceptor({ target, propagateTo, state: undefined })
// @ts-expect-error gRPC follows no redirects
createKestInterceptor({ target, propagateTo, redirects: 'follow' })
// @ts-expect-error a URL is no text
createKestInterceptor({ target: new URL(target), propagateTo })
export type Rule = KestInterceptorOptions

// Connections.
declare const source: MtlsSource
const connect = createMtlsConnector(source, { authorize: memberOf('example.org'), protocols: ['h2'] })
export const shown: ChannelCredentials = createConnectorCredentials(connect)
export const listener = connectionListener(new Server())
// @ts-expect-error credentials are no connector
createConnectorCredentials(credentials.createInsecure())
// @ts-expect-error no server
connectionListener({})
