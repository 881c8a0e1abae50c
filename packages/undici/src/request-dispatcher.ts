import { type Dispatchable, isDispatchable } from './dispatcher.js'

/**
 * The dispatcher of `new Request(url, { dispatcher })`, which a tracer makes of the arguments of fetch, and which fetch
 * uses where its init names none. undici 6 (Node 20 and 22) keeps it under a symbol of this description.
 *
 * @returns `null` for none; `undefined` where nobody can see it: later undicis keep it in a private member
 */
export function dispatcherOfRequest(input: unknown): Dispatchable | null | undefined {
  if (Object.prototype.toString.call(input) !== '[object Request]') return null
  const request = input as object
  const symbol = Object.getOwnPropertySymbols(request).find(({ description }) => description === 'dispatcher')
  if (symbol === undefined) return undefined
  const dispatcher: unknown = Reflect.get(request, symbol)
  return isDispatchable(dispatcher) ? dispatcher : null
}
