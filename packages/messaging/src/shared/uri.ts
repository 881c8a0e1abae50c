import { KestConfigError } from '@kest/core'

/** What both ends call a broker where nobody says otherwise. */
export const DEFAULT_BROKER = 'default'

const BROKER = /^[A-Za-z0-9][A-Za-z0-9._~-]{0,127}$/

/** @throws {KestConfigError} for a name that would have two spellings in a URI */
export function assertBroker(where: string, broker: unknown): asserts broker is string {
  if (typeof broker === 'string' && BROKER.test(broker)) return
  throw new KestConfigError(
    `${where}.broker: expected 1 to 128 letters, digits, ".", "_", "~" or "-", got ${JSON.stringify(broker)}`,
  )
}

/**
 * What both ends call a queue or topic (`kafka://main/orders`): operations are named by it, and tokens are for it. Each part of the
 * name is encoded by itself, so that two names never have one URI.
 */
export function destinationUri(scheme: string, broker: string, ...name: readonly string[]): string {
  return `${scheme}://${broker}/${name.map(encodeURIComponent).join('/')}`
}
