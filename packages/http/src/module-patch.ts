import type { ClientRequest } from 'node:http'
import { urlToHttpOptions } from 'node:url'
import { type Installed, replaceMethod, type Sender } from '@kest/core'
import { holdHeaders, isUrl } from './held-headers.js'
import { isJudged, propagate } from './propagating.js'
import type { RequestOptions } from './route.js'

type Args = readonly unknown[]
type MakesRequest = (...args: Args) => ClientRequest

/** What `node:http` and `node:https` have in common. */
export type Module = Record<'request' | 'get', MakesRequest>

/** Puts `request` and `get` of ours in the place of a module's. */
export function patchModule(module: Module, sender: Sender, enabled: () => boolean): Installed[] {
  function propagating(original: MakesRequest, args: Args): ClientRequest {
    const held = holdHeaders(args)
    const request = original(...(held?.args ?? args))
    // What a mock makes may be nothing of the kind.
    if (typeof request?.setHeader !== 'function') return request
    if (!isJudged(request)) propagate(request, optionsOf(args), Reflect.get(request, 'agent'), sender)
    held?.putOn(request)
    return request
  }

  const { request } = module
  return [
    replaceMethod(
      module,
      'request',
      enabled,
      (original) =>
        (...args) =>
          propagating(original, args),
    ),
    // That of the module would end it before it could be seen.
    replaceMethod(module, 'get', enabled, () => (...args) => {
      const made = propagating(request, args)
      made.end?.()
      return made
    }),
  ]
}

/** As Node reads them: their own, and `hostname` before `host`. It has taken them already, so they can be read. */
function optionsOf(args: Args): RequestOptions {
  const options: RequestOptions = { ...givenIn(args) }
  return { ...options, host: options.hostname || options.host }
}

function givenIn([first, second]: Args): object {
  if (typeof first !== 'string' && !isUrl(first)) return (first ?? {}) as object
  const url = typeof first === 'string' ? new URL(first) : (first as URL)
  return { ...urlToHttpOptions(url), ...(typeof second === 'function' ? {} : (second as object)) }
}
