// Compiled, never run: what the types let pass, and what they do not.
import { createServer } from 'node:http'
import type { Operation, Passport } from '@kest/core'
import express, { type Express, type Request, type RequestHandler, type Router } from 'express'
import { kestExpress, kestJwks, protect, wrapRouter } from '../src/index.js'

const app: Express = express()

app.use(kestExpress())
app.use(
  '/api',
  kestExpress({
    origin: 'user_input',
    onError: 'next',
    token: { jwks: 'https://i/jwks', issuer: 'i', audience: 'a' },
  }),
)
app.use(kestExpress({ switchIdentity: (req: Request) => req.path === '/switch' }))
app.get('/keys', kestJwks({ maxAgeSeconds: 60 }))

// The request's own type reaches functions of it.
app.get(
  '/orders/:id',
  protect({ policy: 'p', resource: (req: Request<{ id: string }>) => ({ id: req.params.id }) }),
  (req, res) => {
    const id: string = req.params.id
    res.json({ id })
  },
)
app.get(
  '/inferred/:id',
  protect({ policy: 'p', user: (req) => req.headers['x-user']?.toString() }),
  (_req, res) => void res.end(),
)
app.post(
  '/x',
  protect({ policy: ['a', 'b'], classification: 'secret', addedTaints: async () => ['pii'] }),
  (req, res) => {
    const operation: Operation | null | undefined = req.kest?.operation
    const passport: Passport | undefined = req.kest?.passport
    const user: string | null | undefined = req.kest?.user
    res.json({ operation, passport, user })
  },
)
const handler: RequestHandler = protect({ policy: 'p', operation: 'named' })
app.use(handler)

// What goes in comes out, with its type.
const router: Router = wrapRouter(express.Router(), {
  policy: 'orders',
  mount: '/orders',
  exclude: ['/health'],
  mountUnwrapped: ['/docs'],
})
const wrapped: Express = wrapRouter(express(), {
  policy: 'p',
  resource: (req: Request) => ({ id: req.path }),
})
wrapped.use(router)

// node:http alone is enough.
createServer((req, res) => kestExpress()(req, res, () => res.end()))

// @ts-expect-error a policy is needed
protect({})
// @ts-expect-error an empty list of policies protects nothing
protect({ policy: [] })
// @ts-expect-error unknown options
protect({ policy: 'p', polcy: 'q' })
// @ts-expect-error the name of an operation is not decided per request
protect({ policy: 'p', operation: (req: Request) => req.path })
// @ts-expect-error a resource has an id
protect({ policy: 'p', resource: () => ({}) })
// @ts-expect-error a policy is not decided per request
protect({ policy: (req: Request) => req.path })
// @ts-expect-error another way to answer
kestExpress({ onError: 'throw' })
// @ts-expect-error modes are few
kestExpress({ mode: 'lax' })
// @ts-expect-error a promise is no answer
kestExpress({ switchIdentity: async () => true })
// @ts-expect-error a policy is needed
wrapRouter(express.Router(), {})
// @ts-expect-error routes have names of their own
wrapRouter(express.Router(), { policy: 'p', operation: 'x' })
// @ts-expect-error not a router
wrapRouter({}, { policy: 'p' })
// @ts-expect-error paths as they are declared
wrapRouter(express.Router(), { policy: 'p', exclude: [/x/] })

app.use((req) => {
  // @ts-expect-error requests that were not let in have none
  req.kest.user
  // @ts-expect-error state is Kest's to set
  if (req.kest) req.kest.user = 'mallory'
})
