import { currentState, type ReceiptOptions } from '@kest/core'
import { describe, expect, it } from 'vitest'
import { wrapConsumer, wrapProducer } from '../src/kafkajs/index.js'
import type { KafkajsMessage, OutgoingMessage, RunConfig } from '../src/kafkajs/types.js'
import { BOUND, inRequest, kestOf, OPERATION } from './support.js'

// A message is answered by nobody: there is no receipt of one.

const NONCE = 'AAAAAAAAAAAAAAAAAAAAAA'
const from = { 'http://orders': 'spiffe://kest.test/orders' }

/** What a service that asks for receipts puts into the header of a message. */
async function sentBy(receipts: ReceiptOptions, binding: object): Promise<string> {
  const gateway = kestOf('gateway', { receipts })
  const sent: OutgoingMessage[] = []
  const producer = {
    async send({ messages }: { messages: readonly OutgoingMessage[] }): Promise<void> {
      sent.push(...messages)
    },
  }
  const wrapped = wrapProducer(producer as never, { kest: gateway, propagateTo: ['orders'], ...binding }) as {
    send(record: object): Promise<void>
  }
  await inRequest(gateway, () => wrapped.send({ topic: 'orders', messages: [{ value: 'x' }] }))
  return String(sent[0]?.headers?.['baggage'])
}

/** Labels of the entry that is made for a message with this header, by a service that asks for receipts itself. */
async function readWith(baggage: string, binding: object) {
  const orders = kestOf('orders', { receipts: { mode: 'accept', from } })
  let config: RunConfig = {}
  const consumer = {
    async run(given: RunConfig): Promise<void> {
      config = given
    },
  }
  const options = { kest: orders, operation: OPERATION, ...binding }
  const refused: unknown[] = []
  const deadLetter = (one: unknown): void => void refused.push(one)
  const wrapped = wrapConsumer(consumer as never, { ...options, deadLetter } as never) as typeof consumer
  const labels: (Readonly<Record<string, string>> | undefined)[] = []
  await wrapped.run({
    eachMessage: async () => void labels.push(currentState()?.frame.lineage.tips[0]?.entry.labels),
  })
  const message = { value: Buffer.from('x'), offset: '0', headers: { baggage: Buffer.from(baggage) } }
  const each = { topic: 'orders', partition: 0, message: message as unknown as KafkajsMessage }
  await config.eachMessage?.({ ...each, heartbeat: () => undefined } as never)
  expect(refused).toEqual([])
  return labels
}

describe.each([
  ['bound to its topic', BOUND],
  ['not bound', {}],
])('a message, %s', (_, binding) => {
  it.each(['accept', 'require'] as const)(
    'K-RECEIPT is sent, and asks for no receipt: nobody answers it; mode %s',
    async (mode) => {
      const baggage = await sentBy({ mode, from }, binding)
      expect(baggage).toContain('kest.passport=')
      expect(baggage).not.toContain('kest.receipt')
    },
  )

  it.each([`kest.receipt=${NONCE}`, 'kest.receipt=none'])(
    'K-RECEIPT that asks for one all the same is read as if it did not: %s',
    async (asking) => {
      const baggage = await sentBy({ mode: 'accept', from }, binding)
      const labels = await readWith(`${baggage},${asking}`, binding)
      expect(labels).toHaveLength(1)
      expect(labels[0]).toHaveProperty('principal')
      expect(labels[0]).not.toHaveProperty('kest.call')
    },
  )
})
