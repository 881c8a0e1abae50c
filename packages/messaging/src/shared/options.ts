import {
  assertOptions,
  getActiveKest,
  type Kest,
  KestConfigError,
  type KestErrorCode,
  type MaybePromise,
  type Messages,
  type MessagesOptions,
} from '@kest/core'
import { assertBroker, DEFAULT_BROKER, destinationUri } from './uri.js'

/** Of a queue or topic: text, or its parts. */
export type DestinationName = string | readonly string[]

/** What every wrapper of a library takes, beside what `kest.messages` does. */
export interface MessagingOptions extends Omit<MessagesOptions, 'propagateTo'> {
  /** Default: the instance of `configure()`, as it is when the wrapper is made. */
  readonly kest?: Pick<Kest, 'messages'> | undefined
  /**
   * What both ends call the broker: part of whom a message token is for, so that a message of the test cluster is refused in another
   * one. Default `default`.
   */
  readonly broker?: string | undefined
  /**
   * Names of queues and topics whose messages carry the passport (K-SCOPE), or a function of the name. Where a name has two parts,
   * such as an exchange and a routing key, it is a list of both. Default: none.
   */
  readonly propagateTo?: readonly DestinationName[] | ((...name: readonly string[]) => boolean) | undefined
}

/** What wrappers of consumers need. */
export interface ConsumerOptions<Native> extends MessagingOptions {
  /**
   * Where a message goes that is refused for what it is; only then is it acknowledged. Required: nothing is acknowledged in silence.
   * What this throws, or rejects with, stops the acknowledgement.
   */
  readonly deadLetter: (refused: DeadLetter<Native>) => MaybePromise<unknown>
}

/** A message that is refused for what it is. */
export interface DeadLetter<Native> {
  /** As the library has it: bytes and headers as they came. */
  readonly message: Native
  /** URI of where it was read. */
  readonly from: string
  readonly code: KestErrorCode
  /** Why, for the operator: not for the next reader. */
  readonly error: unknown
}

/** A wrapper's options, checked. */
export interface Wrapped {
  readonly messages: Messages
  /** What both ends call the queue or topic of a name. */
  uriOf(...name: readonly string[]): string
}

/** A consumer's options, checked. */
export interface WrappedConsumer<Native> extends Wrapped {
  readonly deadLetter: ConsumerOptions<Native>['deadLetter']
}

/** @throws {KestConfigError} for options that are unknown, wrong or missing */
export function toConsumer<Native>(
  where: string,
  scheme: string,
  options: ConsumerOptions<Native>,
): WrappedConsumer<Native> {
  if (typeof options !== 'object' || options === null)
    throw new KestConfigError(`${where}: expected an object of options`)
  const { deadLetter, ...rest } = options
  if (typeof deadLetter !== 'function')
    throw new KestConfigError(`${where}.deadLetter: say where messages go that are refused (K-MESSAGE)`)
  if (rest.operation === undefined)
    throw new KestConfigError(`${where}.operation: say by which policy messages are handled`)
  return { ...toMessages(where, scheme, rest), deadLetter }
}

/** Options of what only sends. */
export interface ProducerOptions extends Pick<MessagingOptions, 'kest' | 'broker' | 'binding' | 'maxAgeMs'> {
  readonly propagateTo: NonNullable<MessagingOptions['propagateTo']>
}

const PRODUCER: ReadonlySet<string> = new Set<keyof ProducerOptions>([
  'kest',
  'broker',
  'propagateTo',
  'binding',
  'maxAgeMs',
])

/** @throws {KestConfigError} for options that are unknown, wrong or missing */
export function toProducer(where: string, scheme: string, options: ProducerOptions): Wrapped {
  assertOptions(where, options, PRODUCER)
  if (options.propagateTo === undefined)
    throw new KestConfigError(
      `${where}.propagateTo: say which of them receive the passport (K-SCOPE); there is no default`,
    )
  return toMessages(where, scheme, options)
}

function toMessages(where: string, scheme: string, options: MessagingOptions): Wrapped {
  const { kest = getActiveKest(), broker = DEFAULT_BROKER, propagateTo, ...rest } = options
  if (typeof kest?.messages !== 'function')
    throw new KestConfigError(`${where}.kest: expected what createKest or configure answered`)
  assertBroker(where, broker)
  const uriOf = (...name: readonly string[]): string => destinationUri(scheme, broker, ...name)
  const scope = scopeOf(where, propagateTo, uriOf)
  return { messages: kest.messages({ ...rest, ...(scope && { propagateTo: scope }) }), uriOf }
}

function scopeOf(
  where: string,
  propagateTo: MessagingOptions['propagateTo'],
  uriOf: Wrapped['uriOf'],
): MessagesOptions['propagateTo'] {
  if (propagateTo === undefined) return undefined
  if (typeof propagateTo === 'function')
    return (to) => propagateTo(...to.split('/').slice(3).map(decodeURIComponent))
  if (!Array.isArray(propagateTo) || !propagateTo.every(isName))
    throw new KestConfigError(`${where}.propagateTo: expected a list of names, or a function`)
  return propagateTo.map((name) => uriOf(...[name].flat()))
}

function isName(name: unknown): name is DestinationName {
  const parts = [name].flat()
  return parts.length > 0 && parts.every((part) => typeof part === 'string' && part !== '')
}
