import { KestConfigError } from '@kest/core'
import type { Dispatchable } from './dispatcher.js'

/**
 * Where all requests of a dispatcher go, whatever origin they name: undici's `Client` and `Pool` go to one place and do
 * not look at it. They keep that place under a symbol of this description.
 *
 * @param stated by the operator
 * @returns `null` for a dispatcher that goes where each request says
 * @throws {KestConfigError} when it goes elsewhere than stated, or to several places and none is stated
 */
export function destinationOf(dispatcher: Dispatchable, stated: URL | null): URL | null {
  const own = ownUrlOf(dispatcher)
  if (own !== null && stated !== null && own.origin !== stated.origin) {
    throw new KestConfigError(`origin: ${stated.origin} was stated, and the dispatcher goes to ${own.origin}`)
  }
  if (stated === null && hasUpstreams(dispatcher)) {
    throw new KestConfigError('origin: state it for a BalancedPool, which does not go where a request says')
  }
  return stated ?? own
}

function ownUrlOf(dispatcher: object): URL | null {
  const symbol = Object.getOwnPropertySymbols(dispatcher).find(({ description }) => description === 'url')
  const url: unknown = symbol === undefined ? null : Reflect.get(dispatcher, symbol)
  return url instanceof URL ? url : null
}

function hasUpstreams(dispatcher: object): boolean {
  return Array.isArray((dispatcher as { readonly upstreams?: unknown }).upstreams)
}
