import { inspect } from 'node:util'
import { KestError } from '../errors.js'

/** Causes of causes, after which it is enough. */
const MAX_CAUSES = 8
/** Failures that one error stands for, as of the addresses of one name. */
const MAX_ERRORS = 4
const MAX_FRAMES = 16

/**
 * An error as an operator's log has it: its message and those of its causes, without stacks. Never throws, whatever was
 * thrown.
 */
export function describeError(error: unknown): string {
  const texts = chainOf(error).map(textOf)
  // What wraps often repeats what it wraps.
  const news = texts.filter((text, i) => i === 0 || !texts[i - 1]?.endsWith(text.replace(/^\w+: /, '')))
  return news.join('; cause: ')
}

/** Where it was thrown, for debugging: of the innermost error that is not Kest's. `undefined` where there is none. */
export function stackOf(error: unknown): readonly string[] | undefined {
  const thrown = chainOf(error).findLast((link) => link instanceof Error && !(link instanceof KestError))
  if (!(thrown instanceof Error)) return undefined
  return String(thrown.stack ?? thrown.message)
    .split('\n', MAX_FRAMES)
    .map((line) => line.trim())
}

function chainOf(error: unknown): unknown[] {
  const chain: unknown[] = [error]
  for (let next = error; chain.length <= MAX_CAUSES; chain.push(next)) {
    if (!(next instanceof Error) || next.cause === undefined) break
    next = next.cause
    // Data, not an error: such as the claims of a token that was refused.
    if (typeof next === 'object' && next !== null && !(next instanceof Error)) break
  }
  return chain
}

function textOf(error: unknown): string {
  if (error instanceof KestError) return error.message
  if (!(error instanceof Error)) return inspect(error, { customInspect: false, depth: 1, getters: false })
  const { name, message } = error
  if (message !== '') return `${name}: ${message}`
  // What Node answers where a name has several addresses, of which none could be reached.
  const errors: unknown = (error as AggregateError).errors
  if (!Array.isArray(errors) || errors.length === 0) return String(name)
  return `${name}: ${errors.slice(0, MAX_ERRORS).map(messageOf).join(', ')}`
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : typeof error
}
