import { inspect, types } from 'node:util'
import { KestError } from '../errors.js'

/** Causes of causes, after which it is enough. */
const MAX_CAUSES = 8
/** Failures that one error stands for, as of the addresses of one name. */
const MAX_ERRORS = 4
const MAX_FRAMES = 16
const MAX_PLACES = 3
const FRAME = /^at \S.*:\d+:\d+\)?$/
/** The name of a class, or a code: no text of anybody's. */
const WORD = /^[A-Za-z0-9_]{1,64}$/
const UNREADABLE = 'an error that cannot be read'

/**
 * An error as an operator's log has it: its message and those of its causes, without stacks. Never throws, whatever was
 * thrown.
 */
export function describeError(error: unknown): string {
  const texts = chainOf(error).map((link) => readable(() => textOf(link)) ?? UNREADABLE)
  // What wraps often repeats what it wraps.
  const news = texts.filter((text, i) => i === 0 || !texts[i - 1]?.endsWith(text.replace(/^\w+: /, '')))
  return news.join('; cause: ')
}

/**
 * As {@link describeError}; of errors that are not Kest's no more than class and code: their messages may say whom a pseudonym is to
 * hide (K-PSEUDONYM).
 *
 * @param ours whether messages of Kest's errors are told; not where another's code may have made them
 */
export function describeWithoutWords(error: unknown, ours = true): string {
  const texts = chainOf(error).map(
    (link) =>
      readable(() => (ours && link instanceof KestError ? textOf(link) : classOf(link))) ?? UNREADABLE,
  )
  return texts.join('; cause: ')
}

/** Where it was thrown, for debugging: of the innermost error that is not Kest's. `undefined` where there is none. */
export function stackOf(error: unknown): readonly string[] | undefined {
  return readable(() => {
    const thrown = chainOf(error).findLast((link) => isError(link) && !(link instanceof KestError))
    if (!isError(thrown)) return undefined
    return String(thrown.stack ?? thrown.message)
      .split('\n', MAX_FRAMES)
      .map((line) => line.trim())
  })
}

/** The innermost frames of {@link stackOf}: places of code, without what the error says. */
export function placesOf(error: unknown): readonly string[] | undefined {
  return stackOf(error)
    ?.filter((line) => FRAME.test(line))
    .slice(0, MAX_PLACES)
}

/** What is thrown is another's: its members may be code that throws, or no text. */
function readable<T>(read: () => T): T | undefined {
  try {
    return read()
  } catch {
    return undefined
  }
}

function chainOf(error: unknown): unknown[] {
  const chain: unknown[] = [error]
  while (chain.length <= MAX_CAUSES) {
    const cause = readable(() => causeOf(chain.at(-1)))
    if (cause === undefined) break
    chain.push(cause)
  }
  return chain
}

/** `undefined` also for what is data, and no error: such as the claims of a token that was refused. */
function causeOf(error: unknown): unknown {
  if (!isError(error)) return undefined
  const { cause } = error
  return typeof cause === 'object' && cause !== null && !isError(cause) ? undefined : cause
}

/** Of whatever realm: Node's own are of another, where a test runner gives the code one. */
function isError(value: unknown): value is Error {
  return value instanceof Error || types.isNativeError(value)
}

function textOf(error: unknown): string {
  if (error instanceof KestError) return String(error.message)
  if (!isError(error)) return inspect(error, { customInspect: false, depth: 1, getters: false })
  const { name, message } = error
  if (message !== '') return `${name}: ${message}`
  // What Node answers where a name has several addresses, of which none could be reached.
  const errors: unknown = (error as AggregateError).errors
  if (!Array.isArray(errors) || errors.length === 0) return String(name)
  return `${name}: ${errors.slice(0, MAX_ERRORS).map(messageOf).join(', ')}`
}

function classOf(error: unknown): string {
  if (!isError(error)) return typeof error
  const { name, code } = error as NodeJS.ErrnoException
  return [name, code].filter((word) => typeof word === 'string' && WORD.test(word)).join(' ')
}

function messageOf(error: unknown): string {
  return isError(error) ? error.message : typeof error
}
