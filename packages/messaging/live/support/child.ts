import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { onTestFinished } from 'vitest'

const CONSUMER = fileURLToPath(new URL('consumer.mjs', import.meta.url))

/** Where a consumer's process reads: a library, its broker, and the queue or topic. */
export interface ChildTask {
  readonly library: string
  readonly url: string
  readonly name: string
}

/** A consumer in a process of its own, which never ends what it has begun. */
export interface Child {
  /** What it prints next. */
  said(): Promise<unknown>
  /** SIGKILL: nothing is acknowledged, closed or said. */
  kill(): Promise<void>
}

/** @param folder where its audit spans go */
export function startConsumer({ library, url, name }: ChildTask, folder: string): Child {
  const child = spawn(process.execPath, [CONSUMER, library, url, name, folder], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const exited = once(child, 'exit')
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  const kill = async (): Promise<void> => {
    child.kill('SIGKILL')
    await exited
  }
  onTestFinished(kill)
  return {
    async said() {
      const { done, value } = await lines.next()
      if (done === true) throw new Error(`the consumer has ended with ${child.exitCode ?? child.signalCode}`)
      return JSON.parse(value)
    },
    kill,
  }
}
