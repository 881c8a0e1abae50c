import { RouteOperations } from '../adapter/route-operations.js'
import { KestConfigError } from '../errors.js'
import type { OperationDefinition } from '../hook/operation-definition.js'
import type { OriginMap } from '../trust/origins.js'
import type { InboundMessage } from './message.js'
import type { BatchOperation, MessageOperation, MessagesOptions } from './messages-options.js'

const ACTING = ['user', 'agent', 'task']

/** Places are few; but where senders name them, as subjects of NATS, there is no end of them. */
const MAX_KNOWN = 1_000

/** The operations that messages are handled by, one for each place where they are read. */
export class MessageOperations {
  readonly #one: (from: string) => OperationDefinition
  readonly #batch: (from: string) => OperationDefinition
  readonly #patternOf: (from: string) => string

  /** @throws {KestConfigError} for options that are wrong; for those of a function, when it is asked */
  constructor(
    { operation, batch, pattern }: Pick<MessagesOptions, 'operation' | 'batch' | 'pattern'>,
    origins: OriginMap,
  ) {
    this.#patternOf = patternsBy(pattern)
    const optionsOf = (from: string): MessageOperation => {
      if (operation === undefined)
        throw new KestConfigError('messages.operation: needed where messages are received')
      return typeof operation === 'function' ? operation(from) : operation
    }
    this.#one = byPlace<[InboundMessage]>('messages.operation', 'receive', optionsOf, origins)
    this.#batch = byPlace<[readonly InboundMessage[]]>(
      'messages.batch',
      'receive batch',
      (from) => {
        const given = typeof batch === 'function' ? batch(from) : batch
        return given === undefined ? alike(optionsOf(from)) : withoutActing(given)
      },
      origins,
    )
    // What is wrong with options that are the same everywhere is said at once.
    if (typeof operation === 'object') this.#one('')
    if (typeof batch === 'object') this.#batch('')
  }

  of(from: string): OperationDefinition {
    return this.#one(this.#patternOf(from))
  }

  ofBatch(from: string): OperationDefinition {
    return this.#batch(this.#patternOf(from))
  }
}

function byPlace<Args extends unknown[]>(
  where: string,
  verb: string,
  optionsOf: (from: string) => ConstructorParameters<typeof RouteOperations<Args>>[1],
  origins: OriginMap,
): (from: string) => OperationDefinition {
  const known = new Map<string, OperationDefinition>()
  return (from) => {
    let definition = known.get(from)
    if (definition === undefined) {
      definition = new RouteOperations<Args>(where, optionsOf(from)).named(`${verb} ${from}`)
      definition.assertOrigin(origins)
      const [oldest] = known.size < MAX_KNOWN ? [] : known.keys()
      if (oldest !== undefined) known.delete(oldest)
      known.set(from, definition)
    }
    return definition
  }
}

function patternsBy(pattern: MessagesOptions['pattern']): (from: string) => string {
  if (pattern === undefined) return (from) => from
  if (typeof pattern !== 'function')
    throw new KestConfigError('messages.pattern: expected a function of the URI where a message was read')
  return (from) => {
    const name: unknown = pattern(from)
    if (typeof name === 'string' && name !== '') return name
    throw new KestConfigError(`messages.pattern: expected a text for ${from}, got ${typeof name}`)
  }
}

function alike({ policy, classification }: MessageOperation): BatchOperation {
  return { policy, ...(classification !== undefined && { classification }) }
}

/** K-MESSAGE: an operation over a batch states nobody. */
function withoutActing(options: BatchOperation): BatchOperation {
  const stated = ACTING.find((part) => Object.hasOwn(options, part))
  if (stated === undefined) return options
  throw new KestConfigError(
    `messages.batch.${stated}: who acts in a batch is what its messages agree on (K-MESSAGE)`,
  )
}
