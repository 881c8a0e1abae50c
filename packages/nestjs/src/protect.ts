import {
  createPrivateSlot,
  type Exchange,
  operationName,
  type RouteOperationOptions,
  RouteOperations,
  toError,
} from '@kest/core'
import type { ExecutionContext } from '@nestjs/common'
import { isObservable, lastValueFrom } from 'rxjs'
import { contextIn, giveContext } from './context-argument.js'
import { toGraphqlError } from './graphql-error.js'
import { inside } from './inside.js'
import { type Handler, mark, methodOf, nameOf } from './marks.js'
import { misconfigured, refusalOf, refuse } from './refuse.js'
import { exchangeOf, type PlatformRequest, patternOf, requestOf } from './requests.js'

const NOT_RECEIVED =
  'a handler with @Protect() was reached by a request that no KestModule let in: import KestModule.forRoot(), of one copy of @kest/nestjs'

/**
 * What an operation is, beside its name. Values that may differ from request to request are given as such, or as a function
 * of the context that Nest runs the handler in, and of the handler's arguments as its pipes made them.
 */
export type ProtectOptions = RouteOperationOptions<[context: ExecutionContext, args: readonly unknown[]]>

/** A method of a class, and how one call of it is protected. */
interface Protected {
  readonly operations: RouteOperations<[context: ExecutionContext, args: readonly unknown[]]>
  /** Whether a function among its options may say something else when it is asked again. */
  readonly varies: boolean
  readonly handler: Handler
}

/**
 * Protects a handler: a route of a controller, or a query or mutation of a GraphQL resolver. It runs only when its policies
 * allow it and its entry is signed, in the operation's state, which also holds for what it answers with: an Observable (SSE
 * too) emits in it, an asynchronous generator is stepped in it.
 *
 * Guards, interceptors and pipes of the handler come before, in the state of the request: what one of them stops has no
 * entry. The operation of a route is `GET /orders/:id`, by the method of the request and the route's pattern; that of a
 * resolver is `Query.order`. A route has one operation for a request, also where an interceptor runs it again, unless a function is
 * among the options: then, as a resolver always has, one for each time that it is called for.
 *
 * It stands anywhere among the decorators of the method, and keeps what others have said of it.
 *
 * @throws {KestConfigError} for options that are missing, unknown or wrong, on what is no method, and beside `@Open()`. At a
 * request: 500 `ERR_KEST_CONFIG` where no `KestModule` let it in, and where the method was not called by Nest; otherwise as
 * `kest.begin` rejects.
 *
 * @example
 * ```ts
 * @Get(':id')
 * @Protect({ policy: 'orders/read', resource: (_context, [id]) => ({ id }) })
 * find(@Param('id') id: string): Promise<Order> {
 *   return this.orders.find(id)
 * }
 * ```
 */
export function Protect(options: ProtectOptions): MethodDecorator {
  const operations = new RouteOperations('@Protect()', options)
  const varies = Object.values(options).some((value) => typeof value === 'function')
  return function kestProtect(target, key, descriptor) {
    const handler = methodOf('@Protect()', target, descriptor)
    const count = giveContext(target, key)
    const method: Protected = { operations, varies, handler }

    async function kestProtected(this: unknown, ...args: unknown[]): Promise<unknown> {
      const context = contextIn(args, count)
      if (context === undefined)
        throw misconfigured(
          `${nameOf(target, key)}: it was not called by Nest, or a pipe has changed what @Protect() gets`,
        )
      const isResolver = context.getType<string>() === 'graphql'
      // To a resolver whose parameters have no decorators Nest gives what GraphQL does.
      const own = isResolver && count === 0 ? context.getArgs() : args.slice(0, count)
      return isResolver
        ? protectResolver(method, this, context, own)
        : protectRoute(method, this, context, own)
    }
    for (const name of Reflect.getMetadataKeys(handler))
      Reflect.defineMetadata(name, Reflect.getMetadata(name, handler), kestProtected)
    Object.defineProperty(kestProtected, 'name', { value: handler.name, configurable: true })
    Object.defineProperty(kestProtected, 'length', { value: handler.length, configurable: true })
    mark(kestProtected, 'protected', nameOf(target, key))
    ;(descriptor as PropertyDescriptor).value = kestProtected
    return descriptor
  }
}

/** What was begun last for a request. */
interface Begun {
  readonly method: Protected
  readonly name: string
  readonly operation: Promise<void>
}

const begun = createPrivateSlot<Exchange, Begun>()

async function protectRoute(
  method: Protected,
  self: unknown,
  context: ExecutionContext,
  args: readonly unknown[],
): Promise<unknown> {
  const http = context.switchToHttp()
  const request = http.getRequest<PlatformRequest>()
  const raw = requestOf(request)
  const exchange = exchangeOf(raw)
  if (exchange === undefined)
    throw refuse(refusalOf(raw) ?? misconfigured(NOT_RECEIVED), 'respond', http.getResponse())
  try {
    const name = operationName(raw.method, patternOf(request) ?? '')
    await beginOnce(exchange, method, name, () =>
      exchange.begin(method.operations.named(name), { args: [context, args] }),
    )
  } catch (error) {
    throw refuse(error, exchange.ingress.onError, http.getResponse())
  }
  const handle = (): unknown => method.handler.apply(self, [...args])
  // Who is given the response, or `next`, may go on in callbacks, of which nothing is known.
  const hasCallbacks = args.includes(http.getResponse()) || args.includes(http.getNext())
  const answer = await exchange.handle(hasCallbacks ? handle : async () => handle())
  return exchange.run(() => inside((fn) => exchange.run(fn), answer))
}

/**
 * An interceptor may run a handler again, as `retry()` does: that is the same operation, unless it could be decided otherwise
 * by what the request and the arguments have become meanwhile. A method that two routes inherit is two.
 */
function beginOnce(
  exchange: Exchange,
  method: Protected,
  name: string,
  begin: () => Promise<void>,
): Promise<void> {
  const last = begun.get(exchange)
  const isSame = last?.method === method && last.name === name && !method.varies
  // Of a state that is over nothing begins.
  if (isSame && !exchange.state.lifetime.ended) return last.operation
  const operation = begin()
  begun.set(exchange, { method, name, operation })
  return operation
}

interface GraphqlContext {
  readonly req?: PlatformRequest
  readonly reply?: { readonly request?: PlatformRequest }
}

async function protectResolver(
  method: Protected,
  self: unknown,
  context: ExecutionContext,
  args: readonly unknown[],
): Promise<unknown> {
  // As GraphQL has it: parent and arguments of the field, or a reference; then these two.
  const [graphql, info] = context.getArgs().slice(-2) as [GraphqlContext | undefined, FieldInfo]
  const request = graphql?.req ?? graphql?.reply?.request
  const raw = request === undefined ? undefined : requestOf(request)
  const exchange = raw === undefined ? undefined : exchangeOf(raw)
  if (exchange === undefined)
    throw toGraphqlError(
      misconfigured(`${NOT_RECEIVED}; the context of GraphQL has to have its request, as "req"`),
    )
  const { kest } = exchange.ingress
  const definition = method.operations.named(`${info.parentType.name}.${info.fieldName}`)
  // Several fields of one query are decided beside each other: each has its own state.
  const operation = await exchange
    .run(() => kest.begin(definition, { state: exchange.state, args: [context, args] }))
    .catch((error: unknown) => {
      throw toGraphqlError(toError(error))
    })
  return operation.run(async () => {
    const answer = await method.handler.apply(self, [...args])
    // As Nest does itself, but in the operation.
    return isObservable(answer) ? lastValueFrom(answer) : answer
  })
}

interface FieldInfo {
  readonly fieldName: string
  readonly parentType: { readonly name: string }
}
