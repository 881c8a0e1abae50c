import type { IncomingMessage, ServerResponse } from 'node:http'
import type { RequestParts } from './middleware.js'
import { type Callable, type LayerParts, routersAround } from './router-parts.js'

/** Stops a request that may not go on, or not yet, and says whether it was one. `run` is what it would have gone on to. */
type Stop = (req: IncomingMessage, res: ServerResponse, run: () => unknown) => boolean

/** What runs the functions of a layer, error handlers aside: `handleRequest` in 5, `handle_request` in 4. */
const RUNNERS = ['handleRequest', 'handle_request'] as const

const sealed = new WeakSet<object>()

/**
 * Has Express ask `stop` before it runs the functions of a route or a `use()`, error handlers aside. Express has no error
 * that is final: an error handler that calls `next()` sends the request on to what stands behind, in a route to the very
 * handler that was refused. Nor does it wait for a `next()`: a middleware that calls it twice sends the request past what is
 * still deciding. So the class of its layers is amended, once.
 *
 * @returns whether there was something to amend: the request is in a router that looks like Express's
 */
export function sealLayers(req: RequestParts, stop: Stop): boolean {
  const layers = [req.route, ...routersAround(req)].flatMap((part) => part?.stack?.slice(0, 1) ?? [])
  return layers.length > 0 && layers.every((layer) => seal(Object.getPrototypeOf(layer), stop))
}

function seal(prototype: Record<string, unknown> & object, stop: Stop): boolean {
  if (sealed.has(prototype)) return true
  const [name] = RUNNERS.filter((runner) => typeof prototype[runner] === 'function')
  if (name === undefined) return false
  sealed.add(prototype)
  const run = prototype[name] as Callable
  prototype[name] = function kestLayer(
    this: LayerParts,
    ...args: [IncomingMessage, ServerResponse, ...unknown[]]
  ) {
    // Express skips what takes four arguments, since there is no error now.
    const skipped = typeof this.handle === 'function' && this.handle.length > 3
    const [req, res] = args
    // What was kept back asks again: something else may be deciding by then, or have refused.
    if (!skipped && stop(req, res, () => kestLayer.apply(this, args))) return undefined
    return run.apply(this, args)
  }
  return true
}
