import type { Kest } from '@kest/core'
import type { ConsumerOptions, MessagingOptions } from '../../src/shared/options.js'

/** A message as the suite has it. */
export interface PlainMessage {
  readonly body: string
  readonly headers: Readonly<Record<string, string>>
}

/** What of a wrapper's options the suite sets. Names are those of a driver's {@link MessagingSystem.create}. */
export interface SuiteOptions
  extends Pick<MessagingOptions, 'binding' | 'replayStore' | 'operation' | 'maxAgeMs'> {
  readonly kest: Kest
}

export interface SuiteProducer {
  /** In their order; at once, where the library has a way to. */
  send(bodies: readonly string[]): Promise<void>
  /** Those that could not be taken back are waited for. */
  close(): Promise<void>
}

export interface SuiteConsumer {
  /** What is under way is handled and acknowledged before. */
  close(): Promise<void>
}

/** How the suite uses a library on its real broker. */
export interface MessagingDriver {
  readonly name: string
  /** As `consumer.mjs` has it. */
  readonly library: string
  /** Whether one consumer that handles one after the other sees messages in the order in which they were sent. */
  readonly ordered: boolean
  /** What the broker says of a message that it delivers again. */
  readonly redelivery: 'count' | 'mark' | 'place'
  /** Who sends at once, 20 messages each. Default 50; fewer where what stands in for the broker is slow. */
  readonly users?: number
  open(): Promise<MessagingSystem>
}

export interface MessagingSystem {
  /** A fresh queue or topic, and one for its dead letters. */
  create(): Promise<string>
  /** Where the library connects to for it. */
  urlOf(name: string): string
  /** @param options.told whether the queue receives passports */
  producer(
    name: string,
    options: Pick<SuiteOptions, 'kest' | 'binding'> & { readonly told: boolean },
  ): Promise<SuiteProducer>
  /** One of those that share a queue, or the group of a topic. It acknowledges what its handler has handled, and gives back the rest. */
  consumer(
    name: string,
    options: SuiteOptions & { readonly concurrency: number },
    handler: (message: PlainMessage) => Promise<void>,
  ): Promise<SuiteConsumer>
  /** What was put away for the queue, with the codes. */
  deadLetters(name: string): Promise<readonly { readonly body: string; readonly code: string }[]>
  /** The broker's administrator: takes what waits in a queue that nobody reads. */
  take(name: string): Promise<PlainMessage[]>
  /** The broker's administrator: puts anything there. */
  put(name: string, message: PlainMessage): Promise<void>
  close(): Promise<void>
}

export type DeadLetterOption<Native> = ConsumerOptions<Native>['deadLetter']
