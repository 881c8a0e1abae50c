import { createKest, type KestState } from '@kest/core'
import * as undici from 'undici'
import {
  createKestFetch,
  type Dispatchable,
  type DispatcherOptions,
  type KestInterceptor,
  kestInterceptor,
  type PropagationRule,
  patchGlobalFetch,
  type Unpatch,
  withKest,
} from './index.js'

const agent = new undici.Agent()
const propagateTo = ['http://hop2:8000'] as const
const kest = createKest({})

// Dispatchers keep their type.
export const wrapped: undici.Agent = withKest(agent, { propagateTo })
export const pool: undici.Pool = withKest(new undici.Pool('http://x'), {
  propagateTo,
  origin: new URL('http://x'),
})
export const mock: undici.MockAgent = withKest(new undici.MockAgent(), { propagateTo, kest })
export const composed: undici.Dispatcher = withKest(agent.compose(undici.interceptors.redirect()), {
  propagateTo,
})
export const plain: Dispatchable = withKest(
  { dispatch: agent.dispatch.bind(agent) },
  { propagateTo: () => true },
)
undici.setGlobalDispatcher(withKest(agent, { propagateTo }))
// @ts-expect-error not a dispatcher
withKest({}, { propagateTo })
// @ts-expect-error a dispatcher answers whether it takes more
withKest({ dispatch: () => 'yes' }, { propagateTo })
// @ts-expect-error the rule is required
withKest(agent, {})
// @ts-expect-error so are the options
withKest(agent)
// @ts-expect-error regular expressions are no rule
withKest(agent, { propagateTo: [/hop2/] })
// @ts-expect-error a single string is no list
withKest(agent, { propagateTo: 'http://hop2:8000' })
// @ts-expect-error a promise is no answer
withKest(agent, { propagateTo: async () => true })
// @ts-expect-error unknown option
withKest(agent, { propagateTo, scope: [] })
// @ts-expect-error not an instance
withKest(agent, { propagateTo, kest: {} })

// Interceptors are undici's.
export const interceptor: undici.Dispatcher.DispatcherComposeInterceptor = kestInterceptor({ propagateTo })
export const generic: KestInterceptor = kestInterceptor({ propagateTo, kest, origin: 'http://x' })
agent.compose(kestInterceptor({ propagateTo }), undici.interceptors.redirect())
agent.compose([kestInterceptor({ propagateTo })])
// @ts-expect-error the rule is required
kestInterceptor({})
// @ts-expect-error an origin is text or a URL
kestInterceptor({ propagateTo, origin: 8000 })

export const bound: undici.Agent = withKest(agent, { propagateTo, hop: true })
withKest(agent, { propagateTo, hop: { bind: ['method', 'path', 'body'], maxBodyBytes: 1000 } })
// @ts-expect-error what is bound is said
withKest(agent, { propagateTo, hop: {} })
// @ts-expect-error no header is bound
withKest(agent, { propagateTo, hop: { bind: ['headers'] } })
// @ts-expect-error a token is asked for or not
withKest(agent, { propagateTo, hop: 'https://hop2' })

// fetch keeps its type.
export const builtIn: typeof globalThis.fetch = createKestFetch({ propagateTo })
export const packaged: typeof undici.fetch = createKestFetch({ propagateTo, fetch: undici.fetch })
export const text: Promise<string> = createKestFetch({
  propagateTo,
  fetch: async (_: URL, __?: object) => 'x',
})(new URL('x:'))
// @ts-expect-error the wrapped fetch takes a URL
export const wrong = createKestFetch({ propagateTo, fetch: async (_: URL) => 'x' })(7)
// @ts-expect-error a fetch answers a promise
createKestFetch({ propagateTo, fetch: () => 'x' })
// @ts-expect-error the rule is required
createKestFetch({ fetch: undici.fetch })
// @ts-expect-error the origin is that of each request
createKestFetch({ propagateTo, origin: 'http://x' })

export const unpatch: Unpatch = patchGlobalFetch({ propagateTo, kest })
unpatch()
export const disposable: Disposable = unpatch
// @ts-expect-error the rule is required
patchGlobalFetch({})
// @ts-expect-error the rule is required
patchGlobalFetch()

export const rule: PropagationRule = { propagateTo: (url) => url.protocol === 'https:' }
export const options: DispatcherOptions = { ...rule, kest: { outbound: (given) => kest.outbound(given) } }

// Bound to a state: dispatchers and fetch, not the one global fetch of all.
declare const state: KestState
export const boundAgent: undici.Agent = withKest(agent, { propagateTo, state })
export const boundFetch: typeof globalThis.fetch = createKestFetch({ propagateTo, state })
// @ts-expect-error no state
withKest(agent, { propagateTo, state: undefined })
// @ts-expect-error no state
createKestFetch({ propagateTo, state: {} })
// @ts-expect-error one state for everybody
patchGlobalFetch({ propagateTo, state })
