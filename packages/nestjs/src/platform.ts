import type { IncomingMessage } from 'node:http'
import { createPrivateSlot, KestConfigError, varyByBaggage } from '@kest/core'
import { markOf } from './marks.js'
import { exchangeOf, type Middleware, type PlatformRequest, requestOf } from './requests.js'

/** What is used of Nest's adapter of Express or Fastify. */
export interface HttpAdapter {
  getType(): string
  getInstance(): unknown
  use(middleware: Middleware): unknown
  setOnRequestHook?(hook: RequestHook): unknown
  /** Fastify's keeps the one hook that there is here. */
  readonly onRequestHook?: RequestHook
}

type RequestHook = (request: PlatformRequest, response: unknown, done: () => void) => unknown

/** Where requests of a platform come in, and how they are known there. */
export interface Platform {
  /** Called when parsers have their place, and routes do not. */
  behindParsers(): void
  /** Whether a request is for a route that is `@Open()`. Where that is not known, it is not. */
  isOpen(request: IncomingMessage): boolean
  /** The request as the platform has it, if it is known. */
  ownOf(request: IncomingMessage): PlatformRequest | undefined
}

/** @throws {KestConfigError} for a platform that is neither Express nor Fastify */
export function installOn(adapter: HttpAdapter, receive: Middleware, takesLineage: boolean): Platform {
  const type = adapter.getType()
  if (type !== 'express' && type !== 'fastify')
    throw new KestConfigError(
      `KestModule: the platform "${type}" is not covered; there are: express, fastify`,
    )
  const platform = type === 'express' ? expressPlatform(adapter) : fastifyPlatform(adapter, takesLineage)
  adapter.use(receive)
  return platform
}

/** Goes on in the request's state, which a parser of its body may have lost. */
function resume(request: IncomingMessage, next: () => void): void {
  const exchange = exchangeOf(request)
  if (exchange === undefined) next()
  else exchange.run(next)
}

interface Layer {
  match(path: string): unknown
  readonly route?: {
    _handlesMethod(method: string | undefined): boolean
    readonly stack: readonly { readonly handle: object }[]
  }
}

function expressPlatform(adapter: HttpAdapter): Platform {
  const app = adapter.getInstance() as { readonly router?: { readonly stack: readonly Layer[] } }
  return {
    behindParsers: () => {
      adapter.use(function kestResume(request, _response, next) {
        resume(request, next)
      })
    },
    // The first route that Express will find: it has the metadata of its handler.
    isOpen: ({ method, url = '/' }) => {
      const [path = '/'] = url.split('?')
      const layer = app.router?.stack.find(
        (layer) => layer.route?._handlesMethod(method) && matches(layer, path),
      )
      const handler = layer?.route?.stack.at(-1)?.handle
      return handler !== undefined && markOf(handler) === 'open'
    },
    ownOf: (request) => request,
  }
}

function matches(layer: Layer, path: string): boolean {
  try {
    return Boolean(layer.match(path))
  } catch {
    // An escape in the path that is none: Express will say so.
    return false
  }
}

/** Metadata by which a handler's route has a `config` in Fastify. */
const ROUTE_CONFIG = '__fastify_route_config__'

/** Lets Fastify know a route that is `@Open()`, before Nest declares it. The word is that of `@kest/fastify`. */
export function markOpenRoute(handler: object): void {
  const config = Reflect.getMetadata(ROUTE_CONFIG, handler) as object | undefined
  Reflect.defineMetadata(ROUTE_CONFIG, { ...config, kest: false }, handler)
}

interface FastifyReply {
  getHeader(name: string): string | undefined
  header(name: string, value: string): void
}

interface FastifyInstance {
  addHook(
    name: 'preHandler',
    hook: (request: PlatformRequest, reply: FastifyReply, done: () => void) => void,
  ): void
  addHook(
    name: 'onSend',
    hook: (
      request: PlatformRequest,
      reply: FastifyReply,
      payload: unknown,
      done: (error: null, payload: unknown) => void,
    ) => void,
  ): void
}

function fastifyPlatform(adapter: HttpAdapter, takesLineage: boolean): Platform {
  const app = adapter.getInstance() as FastifyInstance
  /** Middleware is given Node's request alone. */
  const requests = createPrivateSlot<IncomingMessage, PlatformRequest>()
  const earlier = adapter.onRequestHook
  adapter.setOnRequestHook?.(function kestRequest(request, reply, done) {
    requests.set(requestOf(request), request)
    return earlier === undefined ? done() : earlier.call(adapter, request, reply, done)
  })
  app.addHook('preHandler', function kestResume(request, _reply, done) {
    const raw = requestOf(request)
    Object.assign(request, { kest: exchangeOf(raw) })
    resume(raw, done)
  })
  app.addHook('onSend', function kestVary(request, reply, payload, done) {
    if (takesLineage && exchangeOf(requestOf(request)) !== undefined)
      reply.header('vary', varyByBaggage(reply.getHeader('vary')))
    done(null, payload)
  })
  return {
    behindParsers: () => undefined,
    isOpen: (raw) => {
      const config = requests.get(raw)?.routeOptions?.config as { readonly kest?: unknown } | undefined
      return config?.kest === false
    },
    ownOf: (raw) => requests.get(raw),
  }
}
