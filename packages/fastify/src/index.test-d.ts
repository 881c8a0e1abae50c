import Fastify, { type FastifyContextConfig, type FastifyPluginCallback } from 'fastify'
import kestDefault, {
  type KestFastifyOptions,
  type KestRequest,
  kestFastify,
  type RouteInfo,
} from './index.js'

const app = Fastify()

// The default export is the plugin.
const plugin: FastifyPluginCallback<KestFastifyOptions> = kestDefault

app.register(plugin)
app.register(kestFastify, { origin: 'user_input' })
app.register(kestFastify, {
  mode: 'tip',
  maxAgeMs: 60_000,
  onError: 'next',
  publishKeys: '/keys',
  exclude: ['/health', 'OPTIONS *'],
  excludeBelow: ['/docs'],
})
app.register(kestFastify, { policy: 'orders' })
app.register(kestFastify, { policy: ['a', 'b'] })
app.register(kestFastify, {
  policy: ({ method, url }: RouteInfo) => (url === '/x' ? undefined : `${method}/x`),
})
app.register(kestFastify, {
  token: { jwks: 'https://issuer.test/jwks', issuer: 'https://issuer.test', audience: 'orders' },
})

// @ts-expect-error an option that does not exist
app.register(kestFastify, { polcy: 'x' })
// @ts-expect-error policies are not empty
app.register(kestFastify, { policy: [] })
// @ts-expect-error not one of the two
app.register(kestFastify, { onError: 'throw' })
// @ts-expect-error a token needs an issuer
app.register(kestFastify, { token: { jwks: 'https://issuer.test/jwks', audience: 'orders' } })

app.get('/a', { config: { kest: false } }, async () => 'a')
// @ts-expect-error only `false` is an answer by itself
app.get('/a', { config: { kest: true } }, async () => 'a')
// @ts-expect-error a policy has a place
app.get('/a', { config: { kest: 'allow' } }, async () => 'a')
app.get(
  '/b',
  { config: { kest: { policy: 'b', addedTaints: ['pii'], switchIdentity: true } } },
  async () => 'b',
)
app.get(
  '/c/:id',
  {
    config: {
      kest: {
        policy: ['c', 'd'],
        user: (request) => request.headers['x-user']?.toString(),
        resource: async ({ params }) => ({ id: (params as { id: string }).id }),
      },
    },
  },
  async ({ kest }) => {
    // @ts-expect-error `null` where Kest leaves a route alone
    kest.state
    const known: KestRequest | null = kest
    return [
      known?.user satisfies string | null | undefined,
      known?.operation?.entry.hash,
      known?.passport.length,
    ]
  },
)

// @ts-expect-error taints are a list
app.get('/d', { config: { kest: { policy: 'd', addedTaints: 'pii' } } }, async () => 'd')

// Fastify infers a route's whole config, so that what is too much shows at start, or where the type is named:
// @ts-expect-error `true` says nothing
export const nothing: FastifyContextConfig = { kest: true }
// @ts-expect-error a misspelled option
export const misspelled: KestRouteOptions = { policy: 'e', addedTaint: ['pii'] }
// @ts-expect-error an operation is named by its route
export const named: KestRouteOptions = { policy: 'f', operation: 'f' }
