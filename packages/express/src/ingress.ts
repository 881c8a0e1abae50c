import type { IncomingMessage } from 'node:http'
import { type AdapterOptions, askRule, createIngress, KestConfigError, varyByBaggage } from '@kest/core'
import { knownOf } from './about-request.js'
import { answerLast } from './answer-last.js'
import { exchangeOf, letIn, type OnError } from './exchange.js'
import type { KestMiddleware } from './middleware.js'
import { hold, misconfigured, refuse, refuseAgain } from './refuse.js'
import { goOn } from './undecided.js'

const MOUNTED_TWICE =
  'a second kestExpress() on the way of one request, with options that could loosen the first: mount one'

/** How requests come in: where from, what they must bring, and how refused ones are answered. */
export interface KestExpressOptions<Req extends IncomingMessage = IncomingMessage> extends AdapterOptions {
  /**
   * `respond` (default) answers refused requests with problem+json (RFC 9457). `next` hands the error to the
   * application's error handlers; Kest answers where none does, and where one calls `next()`: nothing behind it runs.
   */
  readonly onError?: OnError | undefined
  /**
   * Whether a token may name somebody else than the lineage does (K-IDENT), for all requests or for some. Asked before
   * the route is known. Default `false`.
   */
  readonly switchIdentity?: boolean | ((req: Req) => boolean) | undefined
  /**
   * How long operations begin and calls leave in a request's state after its response is closed, milliseconds, where no
   * handler's promise is there to say that it is done: handlers that take callbacks, and those behind a `protect()` that
   * no wrapped router has declared (K-STATE). Default 10,000.
   */
  readonly stateGraceMs?: number | undefined
}

/**
 * The inbound side: restores and verifies lineage and token of each request, before anything behind it runs, and
 * keeps what it found on `req.kest` and as ambient state. By itself it protects no operation: that is `protect()`.
 *
 * Mount it first, and once on the way of a request. Passing the same middleware again changes nothing; a second one,
 * with options of its own, is a mistake that could loosen the first and is answered 500 `ERR_KEST_CONFIG`.
 *
 * Without `origin` the listener is internal: a request without lineage that verifies is refused (K-ROOT). With it, it
 * is an edge: inbound `kest.*` members are removed and counted, unread (K-EDGE). Either way they are no longer in
 * `req.headers.baggage` behind it, where a proxy would find and forward them; `req.rawHeaders` stays as it came.
 *
 * @throws {KestConfigError} for options that are unknown or wrong, an internal listener without trust material, and
 * when Kest is not configured.
 *
 * @example
 * ```ts
 * app.use(kestExpress({ origin: 'user_input' }))
 * app.get('/orders/:id', protect({ policy: 'orders/read' }), handler)
 * ```
 */
export function kestExpress<Req extends IncomingMessage = IncomingMessage>(
  options: KestExpressOptions<Req> = {},
): KestMiddleware<Req> {
  const { switchIdentity = false, ...adapterOptions } = options
  if (typeof switchIdentity !== 'boolean' && typeof switchIdentity !== 'function') {
    throw new KestConfigError('kestExpress.switchIdentity: expected a boolean, or a function of the request')
  }
  const ingress = createIngress('kestExpress', adapterOptions)
  const { listener, onError } = ingress

  return function kestIngress(req, res, next) {
    if (refuseAgain(req, res)) return
    const earlier = exchangeOf(req)
    if (earlier !== undefined) {
      if (earlier.ingress === ingress) earlier.run(next)
      else refuse(misconfigured(MOUNTED_TWICE), earlier.ingress.onError, req, res, next)
      return
    }
    answerLast(req)
    if (listener.takesLineage && !res.headersSent) res.setHeader('Vary', varyByBaggage(res.getHeader('Vary')))
    hold(req)
    const receive = async () =>
      ingress.receive({
        request: req,
        response: res,
        url: (req as { readonly originalUrl?: string }).originalUrl,
        known: () => knownOf(req),
        switchIdentity: typeof switchIdentity === 'function' ? answerOf(switchIdentity, req) : switchIdentity,
      })
    receive().then(
      (exchange) => {
        letIn(req, exchange)
        exchange.run(() => goOn(req, next))
      },
      (error: unknown) => refuse(error, onError, req, res, next),
    )
  }
}

function answerOf<Req>(switchIdentity: (req: Req) => unknown, req: Req): boolean {
  return askRule(switchIdentity, req, {
    failed: (cause) => misconfigured('kestExpress.switchIdentity: the function failed', cause),
    undecided: () => misconfigured('kestExpress.switchIdentity: the function must answer true or false'),
  })
}
