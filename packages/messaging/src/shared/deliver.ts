import { type Delivery, dispositionOf, type InboundMessage, KestError } from '@kest/core'
import type { WrappedConsumer } from './options.js'

/** What became of a message that may be acknowledged. */
export type Outcome<T> =
  | { readonly handled: true; readonly value: T }
  /** It was refused for what it is, and is with the dead letters. */
  | { readonly handled: false; readonly error: KestError }

/**
 * Judges one message and decides its operation. One that is refused for what it is goes to the dead letters.
 *
 * @param native what the dead letters get
 * @returns why it was refused, where it is with the dead letters now
 * @throws {KestError} what is to be delivered again; whatever `deadLetter` throws, unchanged
 */
export async function admit<Native>(
  { messages, deadLetter }: WrappedConsumer<Native>,
  message: InboundMessage,
  native: Native,
): Promise<Delivery | KestError> {
  try {
    return await messages.receive(message)
  } catch (refused) {
    if (dispositionOf(refused) !== 'dead-letter') throw refused
    const error = refused as KestError
    await deadLetter({ message: native, from: message.from, code: error.code, error })
    return error
  }
}

/**
 * Handles one message in an operation of its own frame, or not at all. When it answers, the message may be acknowledged; when it
 * rejects it may not: nothing could be said about it, the dead letters did not take it, or its handler has failed.
 *
 * @param handler runs in the state of the message, in whoever's context this is called
 * @throws {KestError} as {@link admit}; whatever `handler` throws, unchanged
 */
export async function deliver<Native, T>(
  wrapped: WrappedConsumer<Native>,
  message: InboundMessage,
  native: Native,
  handler: () => T,
): Promise<Outcome<Awaited<T>>> {
  const admitted = await admit(wrapped, message, native)
  if (admitted instanceof KestError) return { handled: false, error: admitted }
  return { handled: true, value: await admitted.run(handler) }
}
