import { type Job, Queue, Worker } from 'bullmq'
import { startRedis } from '../../../tests/brokers/redis.js'
import { wrapProcessor, wrapProducer } from '../src/bullmq/index.js'
import { testMessaging } from './suite.js'
import type { MessagingSystem, PlainMessage } from './support/driver.js'

testMessaging({ name: 'BullMQ', library: 'bullmq', ordered: true, redelivery: 'count', open })

async function open(): Promise<MessagingSystem> {
  const broker = await startRedis()
  const connection = { host: '127.0.0.1', port: broker.port }
  const queues = new Map<string, Queue>()
  const queueOf = (name: string) => queues.get(name) as Queue
  return {
    urlOf: () => broker.url,
    async create() {
      const name = `orders-${queues.size + 1}`
      queues.set(name, new Queue(name, { connection }))
      return name
    },
    async producer(name, { told, ...options }) {
      const producer = wrapProducer(queueOf(name), { ...options, propagateTo: told ? [name] : [] })
      return {
        async send(bodies) {
          const [one, ...others] = bodies
          await producer.add('order', one)
          await producer.addBulk(others.map((data) => ({ name: 'order', data })))
        },
        close: async () => {},
      }
    },
    async consumer(name, { concurrency, ...options }, handler) {
      const processor = wrapProcessor((job: Job) => handler(plain(job)), {
        ...options,
        redeliverAfterMs: 100,
      })
      // How long a worker that is gone has its jobs; on a busy machine one that is not may be taken for that.
      const patience = { lockDuration: 5_000, stalledInterval: 1_000, maxStalledCount: 1_000 }
      const worker = new Worker(name, processor, { connection, concurrency, ...patience })
      let open = true
      worker.on('error', () => {})
      await worker.waitUntilReady()
      return {
        async close() {
          if (!open) return
          open = false
          await worker.close()
        },
      }
    },
    async deadLetters(name) {
      const failed = await queueOf(name).getFailed()
      return failed.map((job) => ({ ...plain(job), code: job.failedReason }))
    },
    async take(name) {
      const waiting = await queueOf(name).getWaiting()
      for (const job of waiting) await job.remove()
      return waiting.map(plain)
    },
    async put(name, { body, headers }) {
      await queueOf(name).add('order', body, { telemetry: { metadata: JSON.stringify(headers) } })
    },
    async close() {
      await Promise.all([...queues.values()].map((queue) => queue.close()))
      await broker.stop()
    },
  }
}

function plain({ data, opts }: Job): PlainMessage {
  return { body: data, headers: JSON.parse(opts.telemetry?.metadata ?? '{}') }
}
