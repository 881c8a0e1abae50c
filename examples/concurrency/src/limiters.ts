import { createRequire } from 'node:module'
import async from 'async'
import Bluebird from 'bluebird'
import Bottleneck from 'bottleneck'
import { bulkhead } from 'cockatiel'
import fastq from 'fastq'
import { createPool } from 'generic-pool'
import pLimit7 from 'p-limit'
import pLimit3 from 'p-limit-3'
import PQueue9 from 'p-queue'

const require = createRequire(import.meta.url)
const { default: PQueue6 } = require('p-queue-6') as typeof import('p-queue-6')

/** Runs a task when there is room. */
export type Submit = (task: Task) => PromiseLike<unknown>
export type Task = () => Promise<unknown>

/** What an application shares between its requests, at most `concurrency` tasks at once, by name. */
export const limiters: Readonly<Record<string, (concurrency: number) => Submit>> = {
  'p-queue 6': (concurrency) => {
    const queue = new PQueue6({ concurrency })
    return (task) => queue.add(task)
  },
  'p-queue 9': (concurrency) => {
    const queue = new PQueue9({ concurrency })
    return (task) => queue.add(task)
  },
  'p-limit 3': (concurrency) => {
    const limit = pLimit3(concurrency)
    return (task) => limit(task)
  },
  'p-limit 7': (concurrency) => {
    const limit = pLimit7(concurrency)
    return (task) => limit(task)
  },
  'async.queue': (concurrency) => {
    const queue = async.queue<Task, unknown, Error>((task, done) => {
      task().then((result) => done(null, result), done)
    }, concurrency)
    return (task) => queue.push<unknown>(task)
  },
  fastq: (concurrency) => {
    const queue = fastq.promise((task: Task) => task(), concurrency)
    return (task) => queue.push(task)
  },
  'cockatiel bulkhead': (concurrency) => {
    const policy = bulkhead(concurrency, Number.MAX_SAFE_INTEGER)
    return (task) => policy.execute(task)
  },
  bottleneck: (concurrency) => {
    const limiter = new Bottleneck({ maxConcurrent: concurrency })
    return (task) => limiter.schedule(task)
  },
  'generic-pool': (concurrency) => {
    const pool = createPool(
      { create: async () => ({}), destroy: async () => undefined },
      { max: concurrency },
    )
    return (task) => pool.use(task)
  },
  'Bluebird chains': () => (task) => Bluebird.resolve().then(task),
}
