import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Admin } from '@platformatic/kafka'
import { Daemon } from '../supervisor/daemon.js'
import type { Supervisor } from '../supervisor/supervisor.js'
import { type KafkaPorts, kafkaProperties } from './kafka-properties.js'

/** What the Collector writes to, and as many partitions as auditors share. */
export const TOPIC = 'otlp_spans'
export const PARTITIONS = 4
/** As much as the Collector's exporter may send: docs/fleet.md. */
export const MAX_MESSAGE_BYTES = 8_388_608
export const CLUSTER: string = Buffer.from('kest-lab-brokers').toString('base64url')

export interface KafkaOptions extends KafkaPorts {
  /** Of a distribution of Kafka 4, or of `scripts/live-tools.sh --all`. */
  readonly programs: Readonly<Record<'kafka-storage.sh' | 'kafka-server-start.sh', string>>
}

/** A broker of Kafka, alone, with the topic of spans. */
export class KafkaBroker {
  /** Its bootstrap address. */
  readonly address: string
  readonly daemon: Daemon
  readonly #options: KafkaOptions
  readonly #supervisor: Supervisor

  constructor(supervisor: Supervisor, options: KafkaOptions) {
    this.address = `127.0.0.1:${options.port}`
    this.#options = options
    this.#supervisor = supervisor
    this.daemon = new Daemon(
      {
        name: 'kafka',
        command: options.programs['kafka-server-start.sh'],
        args: [this.#file],
        check: () => this.#ask((admin) => admin.listTopics()),
      },
      supervisor,
    )
  }

  /** When this resolves, spans can be written. */
  async start(): Promise<void> {
    await mkdir(this.#options.folder, { recursive: true })
    await writeFile(this.#file, kafkaProperties(this.#options))
    await this.#supervisor
      .spawn({
        name: 'kafka-storage',
        command: this.#options.programs['kafka-storage.sh'],
        args: ['format', '-t', CLUSTER, '-c', this.#file],
      })
      .complete()
    await this.daemon.start()
    const configs = [{ name: 'max.message.bytes', value: String(MAX_MESSAGE_BYTES) }]
    await this.#ask((admin) =>
      admin.createTopics({ topics: [TOPIC], partitions: PARTITIONS, replicas: 1, configs }),
    )
  }

  get #file(): string {
    return join(this.#options.folder, 'server.properties')
  }

  async #ask(question: (admin: Admin) => Promise<unknown>): Promise<void> {
    const admin = new Admin({ clientId: 'kest-lab', bootstrapBrokers: [this.address], retries: 0 })
    // What it has to say is what the question throws.
    admin.on('error', () => {})
    try {
      await question(admin)
    } finally {
      await admin.close()
    }
  }
}
