import type { SQSClient } from '@aws-sdk/client-sqs'
import type { JetStreamClient, JsMsg } from '@nats-io/jetstream'
import { headers, type NatsConnection } from '@nats-io/transport-node'
import type { Channel, ConfirmChannel } from 'amqplib'
import type { FlowProducer, Job, Queue } from 'bullmq'
import type { NatsConnection as OldConnection, JetStreamClient as OldStream } from 'nats'
import { headers as oldHeaders } from 'nats'
import * as amqplib from './amqplib/index.js'
import * as bullmq from './bullmq/index.js'
import * as nats from './nats/index.js'
import * as sqs from './sqs/index.js'

declare const channel: Channel
declare const confirming: ConfirmChannel
declare const queue: Queue<{ order: number }, void, 'charge'>
declare const flows: FlowProducer
declare const client: SQSClient
declare const connection: NatsConnection
declare const stream: JetStreamClient
declare const oldConnection: OldConnection
declare const oldStream: OldStream
declare const listed: AsyncIterable<JsMsg>

const told = { propagateTo: ['payments'] } as const
const operation = { policy: 'payments/charge' } as const
const deadLetter = () => {}

// What is wrapped keeps its type, but for what answers promises.
export const sender = amqplib.wrapProducer(confirming, { propagateTo: ['payments', ['orders', 'created']] })
export const sent: Promise<boolean> = sender.sendToQueue('payments', Buffer.from(''), { persistent: true })
export const waited: Promise<void> = sender.waitForConfirms()
export const reader: Channel = amqplib.wrapConsumer(channel, {
  operation,
  deadLetter: amqplib.deadLetterQueue(confirming, 'payments.dead'),
  redeliverAfterMs: 10,
})
export const jobs: typeof queue = bullmq.wrapProducer(queue, told)
export const trees: FlowProducer = bullmq.wrapFlowProducer(flows, told)
export const processor = bullmq.wrapProcessor(async (job: Job<{ order: number }>) => job.data.order, {
  operation,
})
export const answered: Promise<number> = processor({} as Job<{ order: number }>)
export const same: SQSClient = sqs.wrapProducer(client, { propagateTo: (...name) => name[1] === 'payments' })
export const handle = sqs.wrapConsumer(client, { operation, deadLetter })(
  'https://q',
  (message) => message.Body,
)
export const published: Promise<void> = nats
  .wrapProducer(connection, { headers, ...told })
  .publish('payments')
export const stored = nats.wrapProducer(stream, { headers, ...told }).publish('payments')
export const seq: Promise<number> = stored.then((ack) => ack.seq)
nats.wrapProducer(oldConnection, { headers: oldHeaders, ...told })
nats.wrapProducer(oldStream, { headers: oldHeaders, ...told })
oldConnection.subscribe('payments', { callback: nats.wrapCallback(() => {}, { operation, deadLetter }) })
export const all = nats.handleMessages(listed, (message) => message.ack(), {
  operation,
  deadLetter,
  concurrency: 20,
})

// @ts-expect-error a producer says who receives the passport
amqplib.wrapProducer(confirming, {})
// @ts-expect-error nothing is acknowledged in silence
amqplib.wrapConsumer(channel, { operation })
// @ts-expect-error regular expressions are no rule
bullmq.wrapProducer(queue, { propagateTo: [/payments/] })
// @ts-expect-error unknown option
bullmq.wrapProcessor(async () => {}, { operation, attempts: 3 })
// @ts-expect-error a queue is no client of SQS
sqs.wrapProducer(queue, told)
// @ts-expect-error the function that makes headers is needed
nats.wrapProducer(connection, told)
// @ts-expect-error a number of messages
export const many = nats.handleMessages(listed, () => {}, { operation, deadLetter, concurrency: 'many' })
