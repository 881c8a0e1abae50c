import { type Dispatchable, isDispatchable } from './dispatcher.js'

/**
 * The dispatcher of `new Request(url, { dispatcher })`, which a tracer makes of the arguments of fetch, and which fetch
 * uses where its init names none. undici 6 (Node 20 and 22) keeps it under a symbol of this description.
 *
 * @returns `null` for none; `undefined` where nobody can see it: later undicis keep it in a private member
 */
export function dispatcherOfRequest(input: unknown): Dispatchable | null | undefined {
  if (!isRequest(input)) return null
  const symbol = Object.getOwnPropertySymbols(input).find(({ description }) => description === 'dispatcher')
  if (symbol === undefined) return undefined
  const dispatcher: unknown = Reflect.get(input, symbol)
  return isDispatchable(dispatcher) ? dispatcher : null
}

/** Of whatever realm and package; a class that is derived of one may have a name of its own. */
function isRequest(input: unknown): input is object {
  if (Object.prototype.toString.call(input) === '[object Request]') return true
  for (let at = input; typeof at === 'object' && at !== null; at = Object.getPrototypeOf(at))
    if (Object.getOwnPropertyDescriptor(at, Symbol.toStringTag)?.value === 'Request') return true
  return false
}
