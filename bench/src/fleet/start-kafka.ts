import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { freePort } from '../free-port.js'
import { createTopics, kafkaProperties } from '../internals.js'

const CLUSTER = Buffer.from('kest-bench-kafka').toString('base64url')
/** What a busy machine may need. */
const PATIENCE_MS = 120_000
const PAUSE_MS = 500

/** A broker of Kafka, alone, whose programs are on PATH. */
export interface Kafka {
  readonly address: string
  end(): Promise<void>
}

/** @param folder for its log; whoever made it removes it */
export async function startKafka(folder: string): Promise<Kafka> {
  const [port, controllerPort] = [await freePort(), await freePort()]
  const file = join(folder, 'server.properties')
  await writeFile(file, kafkaProperties({ port, controllerPort, folder }))
  const formatted = spawnSync('kafka-storage.sh', ['format', '-t', CLUSTER, '-c', file], { encoding: 'utf8' })
  if (formatted.status !== 0)
    throw new Error(`kafka-storage.sh: ${formatted.error?.message ?? formatted.stderr}`)
  const server = spawn('kafka-server-start.sh', [file], { stdio: 'ignore' })
  const kafka = { address: `127.0.0.1:${port}`, end: () => ended(server) }
  try {
    await answering(kafka.address)
    return kafka
  } catch (error) {
    await kafka.end()
    throw error
  }
}

/** Until topics can be made. */
async function answering(address: string): Promise<void> {
  for (const start = performance.now(); ; ) {
    try {
      return await createTopics({ kafka: { brokers: [address] }, prefix: 'first', partitions: 1 })
    } catch (error) {
      if (performance.now() - start > PATIENCE_MS) throw error
      await wait(PAUSE_MS)
    }
  }
}

async function ended(server: ChildProcess): Promise<void> {
  if (server.exitCode !== null || server.signalCode !== null) return
  server.kill('SIGKILL')
  await once(server, 'close')
}
