import { inspect } from 'node:util'
import type { KestConfigError } from '@kest/core'

const warned = new Set<string>()

/**
 * A mistake in how a server was put together, found at a call. The process is told, once: the client learns the code alone.
 * Methods are as many as the server has.
 */
export function toldOnce(error: KestConfigError): KestConfigError {
  const { message, code, cause } = error
  if (!warned.has(message)) {
    warned.add(message)
    process.emitWarning(message, {
      type: 'KestWarning',
      code,
      ...(cause !== undefined && { detail: inspect(cause) }),
    })
  }
  return error
}
