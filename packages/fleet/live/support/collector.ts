import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { freePort } from '../../../../tests/brokers/free-port.js'
import { type OtlpSpan, otlpLine } from '../../../audit/dist/testing/make-span.js'

/** What docs/fleet.md prints. */
export const CONFIGURATION = fileURLToPath(
  new URL('../../../../docker/collector/kafka.yaml', import.meta.url),
)
const UP_MS = 120_000
const KEPT_CHARACTERS = 20_000

/** An OpenTelemetry Collector with the `kafka` exporter, that writes the same spans into a file as well. */
export interface Collector {
  /** What `kest audit` reads. */
  readonly spansFile: string
  /** Resolves when it has answered that it has them. */
  send(spans: readonly OtlpSpan[]): Promise<void>
  /** Of its own metrics, the sum of those with the name. */
  metric(name: string): Promise<number>
  readonly said: () => string
  /** As a crash would. */
  kill(): Promise<void>
  /** Again after a {@link kill}, with what waits on its disk. */
  start(): Promise<void>
}

export interface CollectorOptions {
  readonly brokers: string
  readonly topic: string
  readonly encoding: 'otlp_proto' | 'otlp_json'
  /** For its queue and its file. */
  readonly folder: string
}

export async function startCollector({
  brokers,
  topic,
  encoding,
  folder,
}: CollectorOptions): Promise<Collector> {
  const [listen, metrics] = [await freePort(), await freePort()]
  const spansFile = join(folder, 'spans.jsonl')
  // Laid over the configuration as it is documented: nothing of that is replaced but the list of exporters.
  const file = {
    exporters: { file: { path: spansFile, rotation: { max_megabytes: 1_000_000, max_backups: 0 } } },
  }
  const pipelines = { service: { pipelines: { traces: { exporters: ['kafka', 'file'] } } } }
  const configurations = [CONFIGURATION, `yaml:${JSON.stringify({ ...file, ...pipelines })}`]
  const env = {
    ...process.env,
    KEST_COLLECTOR_LISTEN: `127.0.0.1:${listen}`,
    KEST_COLLECTOR_METRICS_PORT: `${metrics}`,
    KEST_COLLECTOR_QUEUE: join(folder, 'queue'),
    KEST_KAFKA_BROKERS: brokers,
    KEST_KAFKA_TOPIC: topic,
    KEST_KAFKA_ENCODING: encoding,
  }
  let child: ChildProcess | null = null
  let said = ''
  const kill = async (): Promise<void> => {
    if (child === null || child.exitCode !== null || child.signalCode !== null) return
    const exited = once(child, 'exit')
    child.kill('SIGKILL')
    await exited
  }
  const start = async (): Promise<void> => {
    const args = configurations.map((one) => `--config=${one}`)
    child = spawn('otelcol', args, { env, stdio: ['ignore', 'ignore', 'pipe'] })
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      said = (said + text).slice(-KEPT_CHARACTERS)
    })
    try {
      await once(child, 'spawn')
    } catch (cause) {
      throw new Error('otelcol is not on PATH: scripts/live-tools.sh installs it', { cause })
    }
    for (const late = Date.now() + UP_MS; ; await delay(50)) {
      const up = await fetch(`http://127.0.0.1:${listen}/v1/traces`).then(
        () => true,
        () => false,
      )
      if (up) return
      if (child.exitCode !== null) throw new Error(`the Collector has ended:\n${said}`)
      if (Date.now() > late) throw new Error(`the Collector is not up after ${UP_MS} ms:\n${said}`)
    }
  }
  await start()
  return {
    spansFile,
    said: () => said,
    kill,
    start,
    async send(spans) {
      const headers = { 'content-type': 'application/json' }
      const body = otlpLine('any', spans)
      const answer = await fetch(`http://127.0.0.1:${listen}/v1/traces`, { method: 'POST', body, headers })
      if (answer.status !== 200) throw new Error(`the Collector: ${answer.status} ${await answer.text()}`)
      await answer.arrayBuffer()
    },
    async metric(name) {
      const text = await (await fetch(`http://127.0.0.1:${metrics}/metrics`)).text()
      const lines = text
        .split('\n')
        .filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `))
      return lines.reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0)
    },
  }
}
