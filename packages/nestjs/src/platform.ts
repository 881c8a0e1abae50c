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
  /** How Nest registers module middleware. */
  createMiddlewareFactory(...args: readonly unknown[]): unknown
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

/** What Express reads otherwise than up to the `?`: a fragment, which it takes off, and what it trims. */
const READ_OTHERWISE = /^[^/]|[#\s]/

function expressPlatform(adapter: HttpAdapter): Platform {
  const app = adapter.getInstance() as { readonly router?: { readonly stack: readonly Layer[] } }
  const isMiddleware = noteMiddleware(adapter)
  return {
    behindParsers: () => {
      adapter.use(function kestResume(request, _response, next) {
        resume(request, next)
      })
    },
    // The first route that Express will find: it has the metadata of its handler.
    isOpen: ({ method, url = '/' }) => {
      if (READ_OTHERWISE.test(url)) return false
      const [path = '/'] = url.split('?')
      const layer = app.router?.stack.find(
        (layer) => layer.route?._handlesMethod(method) && !isMiddleware(layer) && matches(layer, path),
      )
      const handler = handlerOf(layer)
      return handler !== undefined && markOf(handler) === 'open'
    },
    ownOf: (request) => request,
  }
}

function handlerOf(layer: Layer | undefined): object | undefined {
  return layer?.route?.stack.at(-1)?.handle
}

/** To Express, module middleware for a method or a controller is a route, which no request is for. */
function noteMiddleware(adapter: HttpAdapter): (layer: Layer) => boolean {
  const middleware = new WeakSet<object>()
  const original = adapter.createMiddlewareFactory
  adapter.createMiddlewareFactory = (...args) => {
    const register = Reflect.apply(original, adapter, args) as (path: string, callback: object) => unknown
    return (path: string, callback: object) => {
      middleware.add(callback)
      return register(path, callback)
    }
  }
  return (layer) => middleware.has(handlerOf(layer) ?? layer)
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
