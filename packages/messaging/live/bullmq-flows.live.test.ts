import { getCurrentUser } from '@kest/core'
import { FlowProducer, type Job, Worker } from 'bullmq'
import { expect, it, onTestFinished } from 'vitest'
import { startRedis } from '../../../tests/brokers/redis.js'
import { wrapFlowProducer, wrapProcessor } from '../src/bullmq/index.js'
import { createWorld } from './support/world.js'

const CHILDREN = 3

it('K-MESSAGE a flow’s jobs are handled each in an operation of its own, in whichever queue, for whoever has added it', async () => {
  const broker = await startRedis()
  // Behind its clients, which wait for what is no longer there.
  onTestFinished(() => broker.stop())
  const world = await createWorld()
  const connection = { host: '127.0.0.1', port: broker.port }
  const plain = new FlowProducer({ connection })
  onTestFinished(() => plain.close())
  const flows = wrapFlowProducer(plain, {
    kest: world.gateway,
    propagateTo: ['orders', 'parts'],
    binding: 'message',
  })
  const handled: { readonly queue: string; readonly data: string; readonly user: string | null }[] = []
  const process = wrapProcessor(
    async ({ queueName: queue, data }: Job) => {
      await new Promise((resolve) => setImmediate(resolve))
      handled.push({ queue, data, user: getCurrentUser() })
      return data
    },
    { kest: world.worker, operation: { policy: 'orders/handle' }, binding: 'message' },
  )
  for (const queue of ['orders', 'parts']) {
    const worker = new Worker(queue, process, { connection, concurrency: 10 })
    worker.on('error', () => {})
    onTestFinished(() => worker.close())
  }
  const users = Array.from({ length: 10 }, (_, n) => `user-${n}`)
  const flowOf = (user: string) => ({
    name: 'order',
    queueName: 'orders',
    data: user,
    children: Array.from({ length: CHILDREN }, () => ({ name: 'part', queueName: 'parts', data: user })),
  })
  await Promise.all(
    users.map((user, n) =>
      world.as(
        user,
        async () => void (n % 2 === 0 ? await flows.add(flowOf(user)) : await flows.addBulk([flowOf(user)])),
      ),
    ),
  )
  const jobs = users.length * (1 + CHILDREN)
  await expect.poll(() => handled.length).toBe(jobs)
  expect(handled.filter(({ data, user }) => data !== user)).toEqual([])
  for (const user of users) {
    const queues = handled.filter(({ data }) => data === user).map(({ queue }) => queue)
    // A flow's parent is handled behind its children.
    expect(queues).toEqual([...Array(CHILDREN).fill('parts'), 'orders'])
  }
  await expect(world.audited()).resolves.toEqual({ traces: users.length, entries: users.length + jobs })
})
