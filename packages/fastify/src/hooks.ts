import {
  closeAnsweredUpgrade,
  createPrivateSlot,
  cutOff,
  type Exchange,
  guardReceiptHeader,
  KestConfigError,
  type KnownToFramework,
  takeLineageOut,
  varyByBaggage,
} from '@kest/core'
import { context } from '@opentelemetry/api'
import type {
  FastifyInstance,
  FastifyReply,
  FastifyRequest,
  HookHandlerDoneFunction,
  RouteOptions,
} from 'fastify'
import { cleanContext } from './clean-context.js'
import { followed } from './followed.js'
import { misplacedPlugin } from './order.js'
import { refusalOf, refuse, warnUnprotected } from './refuse.js'
import { exchangeOf, leaveAlone, letIn } from './request.js'
import { isMarked, markConfig, type Protection, type Scope, scopeOf } from './scope.js'
import { isHijacked, noteAnswer, Turn } from './turn.js'

/*
 * The hooks take callbacks on purpose: what follows runs in the state in which `done` is called, and an async hook
 * would lose it. Each `then` has both its functions, so that `done` is called once. `this` is the route's instance.
 */

/** Adds the hooks to an instance and to every scope inside it. */
export function addHooks(instance: FastifyInstance): void {
  instance.addHook('onRoute', kestProtectRoute)
  instance.addHook('onRequest', kestReceive)
  instance.addHook('preHandler', kestGuard)
  instance.addHook('onSend', kestAnswer)
  // These begin in events and timers, whose context may be from before the request was judged.
  instance.addHook('onError', (request, reply, _error, done) => {
    noteAnswer(reply)
    resume(request, done)
  })
  instance.addHook('onResponse', (request, _reply, done) => resume(request, done))
  instance.addHook('onRequestAbort', (request, done) => resume(request, done))
}

/** Finds a route's policy, so that one without fails at start, and gives the route its last preHandler. */
function kestProtectRoute(this: FastifyInstance, route: RouteOptions): void {
  const { method, url, config = {} } = route
  const misplaced = misplacedPlugin(this, ownScope(this).before)
  if (misplaced !== undefined) {
    // Not thrown: it is the plugin that declares this route, and one with a callback lets what it throws end the process.
    ownScope(this).misplaced ??= misplaced
    return
  }
  route.config = markConfig(config, ownScope(this).protect({ method, url, config }))
  route.handler = followed(route.handler)
  ownScope(this).declared.push(route)
  // Deferred, so that it comes after what other plugins' onRoute hooks add; Fastify reads it when all is loaded.
  this.after(() => {
    route.preHandler = [route.preHandler ?? [], kestAuthorize].flat()
  })
}

/** Judges lineage and token, before anything else runs. */
function kestReceive(
  this: FastifyInstance,
  request: FastifyRequest,
  reply: FastifyReply,
  done: HookHandlerDoneFunction,
): void {
  if (exchangeOf(request) !== undefined) {
    // Another registration around this one came first.
    resume(request, done)
    return
  }
  request.kest = null
  closeAnsweredUpgrade(request.raw, reply.raw)
  const scope = ownScope(this)
  const turn = new Turn(request, reply)
  context.with(cleanContext(request, scope.ingress.kest), () => {
    let protection: Protection | null
    try {
      protection = request.is404 ? null : scope.protectionOf(request)
    } catch (error) {
      warnUnprotected(request, error)
      refuse(error, scope.onError, turn, done)
      return
    }
    if (protection?.operations === null) {
      takeLineageOut(request.raw.headers)
      guardReceiptHeader(reply.raw)
      leaveAlone(request)
      done()
      return
    }
    judge(scope, protection, request, reply).then(
      (exchange) => {
        if (turn.hasStrayHead()) cutOff(reply.raw)
        else if (!turn.isOvertaken()) {
          letIn(request, exchange)
          exchange.run(done)
        }
      },
      (error: unknown) => refuse(error, scope.onError, turn, done),
    )
  })
}

/** Once for each request: a 404 that is called for meanwhile finds the lineage taken out of the headers. */
const judged = createPrivateSlot<FastifyRequest, Promise<Exchange>>()

function judge(
  { ingress }: Scope,
  protection: Protection | null,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<Exchange> {
  const known = judged.get(request)
  if (known !== undefined) return known
  const judgement = ingress.receive({
    request: request.raw,
    response: reply.raw,
    url: request.originalUrl,
    bodyLimit: request.routeOptions.bodyLimit,
    switchIdentity: protection?.switchIdentity,
    isProtected: protection !== null,
    known: () => knownOf(request),
    // A handler that has hijacked its reply goes on when its promise has settled.
    isHandedOver: () => isHijacked(reply),
    context: () => cleanContext(request),
  })
  judged.set(request, judgement)
  return judgement
}

function knownOf({ is404, routeOptions, ip, id }: FastifyRequest): KnownToFramework {
  return { route: is404 ? undefined : routeOptions.url, peer: ip, id }
}

/**
 * The instance's first preHandler: no route gets past it unjudged. Routes that were declared before the plugin was
 * registered have no preHandler of ours, so their operation begins here; a 404 that somebody called for before its
 * lineage was judged is judged here.
 */
function kestGuard(
  this: FastifyInstance,
  request: FastifyRequest,
  reply: FastifyReply,
  done: HookHandlerDoneFunction,
): void {
  const refusal = refusalOf(request)
  if (exchangeOf(request) === undefined && refusal !== undefined) {
    // Its error handler called for a 404; what answers those is promised requests that were judged.
    refuse(refusal, 'respond', new Turn(request, reply), done)
  } else if (exchangeOf(request) === undefined) {
    kestReceive.call(this, request, reply, (error) => {
      if (error === undefined) kestGuard.call(this, request, reply, done)
      else done(error)
    })
  } else if (request.is404 || isMarked(request, ownScope(this))) resume(request, done)
  else kestAuthorize.call(this, request, reply, done)
}

/** A protected route's last preHandler: decides, signs, and lets the handler run in the operation's state. */
function kestAuthorize(
  this: FastifyInstance,
  request: FastifyRequest,
  reply: FastifyReply,
  done: HookHandlerDoneFunction,
): void {
  const exchange = exchangeOf(request)
  if (exchange === null || (exchange !== undefined && exchange.operation !== null)) {
    resume(request, done)
    return
  }
  const scope = ownScope(this)
  const turn = new Turn(request, reply)
  const definition = scope.protectionOf(request).operations?.get(request.method)
  if (exchange === undefined || definition === undefined) {
    const where = `${request.method} ${request.routeOptions.url}`
    const past = new KestConfigError(`${where}: a protected route was reached past its guard`)
    refuse(past, scope.onError, turn, done)
    return
  }
  const isAnswered = () => turn.isOvertaken() || turn.hasStrayHead()
  exchange.begin(definition, { args: [request], isAnswered }).then(
    () => exchange.run(done),
    (error: unknown) => refuse(error, scope.onError, turn, done),
  )
}

/** The first hook of every answer. What it says may depend on the passport that the request came with. */
function kestAnswer(
  this: FastifyInstance,
  request: FastifyRequest,
  reply: FastifyReply,
  payload: unknown,
  done: (error: null, payload: unknown) => void,
): void {
  noteAnswer(reply)
  if (ownScope(this).ingress.listener.takesLineage && exchangeOf(request) !== null)
    reply.header('vary', varyByBaggage(reply.getHeader('vary')))
  done(null, payload)
}

/** Continues in the request's own state, whatever became of the ambient one. */
function resume(request: FastifyRequest, done: () => void): void {
  const exchange = exchangeOf(request)
  if (exchange) exchange.run(done)
  else context.with(cleanContext(request), done)
}

function ownScope(instance: FastifyInstance): Scope {
  const scope = scopeOf(instance)
  if (scope === undefined) throw new KestConfigError('kestFastify: a hook was called outside its scope')
  return scope
}

/** @throws {KestConfigError} when a plugin has taken the guard off a route, as `after` its own registration it may */
export function assertGuarded(scope: Scope): void {
  for (const { method, url, preHandler } of scope.declared.splice(0)) {
    if ([preHandler].flat().at(-1) === kestAuthorize) continue
    throw new KestConfigError(
      `route ${String(method)} ${url}: another plugin replaced its preHandler, guard and all`,
    )
  }
}
