import { deadLetterHeaders } from '../shared/dead-letter-headers.js'
import type { DeadLetter } from '../shared/options.js'
import type { NatsHeaders, NatsMessage } from './types.js'

/** What {@link deadLetterSubject} publishes by. */
export interface StreamPublisher {
  publish(subject: string, payload: Uint8Array, options: never): PromiseLike<unknown>
}

/**
 * Puts refused messages into a stream, by a subject of it: bytes and headers as they came (none, where the client cannot read them), with
 * `kest-error` (the code) and `kest-source` (where it was read). Its lineage stays in it: who reads that subject reads what the first one had.
 *
 * @param stream a client of JetStream that is not wrapped, which says whether a stream has taken the message
 * @param headers the function of that name of the client's package
 * @returns an option `deadLetter`; it rejects where no stream has that subject
 */
export function deadLetterSubject(
  stream: StreamPublisher,
  subject: string,
  headers: () => NatsHeaders,
): (refused: DeadLetter<NatsMessage>) => Promise<void> {
  return async (refused) => {
    const { message } = refused
    const carried = headers()
    // What was said to the stream that it came by means nothing to this one.
    for (const [name, values] of readableHeaders(message))
      if (!/^nats-/i.test(name)) for (const value of values) carried.append(name, value)
    for (const [name, value] of Object.entries(deadLetterHeaders(refused))) carried.set(name, value)
    await stream.publish(subject, message.data, { headers: carried } as never)
  }
}

/** It may be refused for these: then it is put away without them. */
function readableHeaders(message: NatsMessage): Iterable<[name: string, values: string[]]> {
  try {
    return message.headers ?? []
  } catch {
    return []
  }
}
