import { inspect } from 'node:util'
import { KestError } from '../errors.js'

/** Causes of causes, after which it is enough. */
const MAX_CAUSES = 8

/**
 * An error as an operator's log has it: its message and those of its causes; of one that is not Kest's, the stack,
 * which nobody else is shown. Never throws, whatever was thrown.
 */
export function describeError(error: unknown): string {
  const texts: string[] = []
  for (let next = error; texts.length <= MAX_CAUSES; next = next.cause) {
    texts.push(textOf(next))
    if (!(next instanceof Error) || next.cause === undefined) break
  }
  return texts.join('; cause: ')
}

function textOf(error: unknown): string {
  if (error instanceof KestError) return error.message
  if (error instanceof Error) return String(error.stack ?? error.message)
  return inspect(error, { customInspect: false, depth: 1, getters: false })
}
