import { deadLetterHeaders } from '../shared/dead-letter-headers.js'
import type { DeadLetter } from '../shared/options.js'
import { MAX_ATTRIBUTES } from './attributes.js'
import type { SqsAttribute, SqsMessage } from './types.js'

/** A message for the queue of dead letters, as `SendMessageCommand` takes it beside `QueueUrl`. */
export interface SqsLetter {
  MessageBody: string
  MessageAttributes: Record<string, { DataType: string; StringValue?: string; BinaryValue?: Uint8Array }>
}

/**
 * Puts refused messages on a queue: body and attributes as they came, with `kest-error` (the code) and `kest-source` (where it was
 * read). Where all of them are more than the ten that SQS takes, the last of the message's own are left out, and named in
 * `kest-left-out`; `baggage` is the first of them. Its lineage stays in it: who reads that queue reads what the first one had.
 *
 * @param send sends a message to that queue, by a client that is not wrapped as a producer: that would take the lineage out
 * @returns an option `deadLetter`; it rejects as `send` does, and then the message is not deleted
 */
export function deadLetterQueue(
  send: (letter: SqsLetter) => PromiseLike<unknown>,
): (refused: DeadLetter<SqsMessage>) => Promise<void> {
  return async (refused) => {
    const { message } = refused
    const own = Object.entries(message.MessageAttributes ?? {})
    const said = Object.entries(deadLetterHeaders(refused)).map(([name, value]): [string, SqsAttribute] => [
      name,
      text(value),
    ])
    const room = MAX_ATTRIBUTES - said.length
    if (own.length > room) {
      const first = own.filter(([name]) => name.toLowerCase() === 'baggage')
      own.splice(0, own.length, ...first, ...own.filter((one) => !first.includes(one)))
      const out = own.splice(room - 1).map(([name]) => name)
      said.push(['kest-left-out', text(out.join(','))])
    }
    await send({
      MessageBody: message.Body ?? '',
      MessageAttributes: Object.fromEntries([...own, ...said]) as SqsLetter['MessageAttributes'],
    })
  }
}

function text(value: string): SqsAttribute {
  return { DataType: 'String', StringValue: value }
}
