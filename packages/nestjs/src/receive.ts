import type { IncomingMessage } from 'node:http'
import {
  askRule,
  closeAnsweredUpgrade,
  createPrivateSlot,
  guardReceiptHeader,
  type Ingress,
  type KnownToFramework,
  takeLineageOut,
  varyByBaggage,
} from '@kest/core'
import type { ResolvedOptions } from './options.js'
import type { Platform } from './platform.js'
import { answer, misconfigured, noteRefusal, refuse } from './refuse.js'
import { letIn, type Middleware, type PlatformRequest, patternOf } from './requests.js'

/** Requests that have come this way. */
const seen = createPrivateSlot<IncomingMessage, true>()

/**
 * The first middleware: judges lineage and token of every request before what stands behind it, parsers included, except
 * those for a route that is open.
 *
 * @param platform asked at each request, since it is there when this middleware is
 */
export function createReceiver(
  ingress: Ingress,
  { switchIdentity }: ResolvedOptions,
  platform: () => Platform,
): Middleware {
  const { listener, onError } = ingress

  return function kestReceive(request, response, next) {
    if (seen.get(request)) {
      answer(misconfigured('KestModule: a request came in a second time'), response)
      return
    }
    seen.set(request, true)
    if (platform().isOpen(request)) {
      closeAnsweredUpgrade(request, response)
      takeLineageOut(request.headers)
      guardReceiptHeader(response)
      next()
      return
    }
    if (listener.takesLineage && !response.headersSent)
      response.setHeader('Vary', varyByBaggage(response.getHeader('Vary')))
    const receive = async () =>
      ingress.receive({
        request,
        response,
        url: (request as Originally).originalUrl,
        known: () => knownOf(request, platform().ownOf(request)),
        switchIdentity:
          typeof switchIdentity === 'function' ? answerOf(switchIdentity, request) : switchIdentity,
      })
    receive().then(
      (exchange) => {
        letIn(request, exchange)
        exchange.run(next)
      },
      (error: unknown) => {
        const reason = refuse(error, onError, response)
        noteRefusal(request, reason)
        if (onError === 'next') next(reason)
      },
    )
  }
}

/** As it came: what is mounted under a path sees the rest of it. */
interface Originally {
  readonly originalUrl?: string
}

/** Both platforms give Node's request these two. Before a route is known the log says the path. */
function knownOf(request: IncomingMessage, own: PlatformRequest | undefined): KnownToFramework {
  const { ip, id } = request as { readonly ip?: unknown; readonly id?: unknown }
  return { peer: ip, id, route: own === undefined ? undefined : patternOf(own) }
}

function answerOf(switchIdentity: (request: IncomingMessage) => unknown, request: IncomingMessage): boolean {
  return askRule(switchIdentity, request, {
    failed: (cause) => misconfigured('KestModule.switchIdentity: the function failed', cause),
    undecided: () => misconfigured('KestModule.switchIdentity: the function must answer true or false'),
  })
}
