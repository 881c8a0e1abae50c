import { chmodSync, mkdtempSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { CHAIN, type Service } from './chain.js'
import type { Failure } from './failure.js'
import { configurationFile } from './files.js'
import { createAuditor } from './servers/auditor.js'
import { createCollector } from './servers/collector.js'
import type { Identities } from './servers/identities.js'
import { KafkaBroker } from './servers/kafka.js'
import { createOpa } from './servers/opa.js'
import { planIdentities } from './servers/plan-identities.js'
import { compilePolicies } from './servers/rego-wasm.js'
import { createServices } from './servers/services.js'
import type { Daemon } from './supervisor/daemon.js'
import { Ports } from './supervisor/ports.js'
import { Programs } from './supervisor/programs.js'
import { Supervisor } from './supervisor/supervisor.js'
import type { Watch } from './supervisor/watch.js'

const PORTS = 9
/** The machine may be busy: it runs all of it. */
const PATIENCE = 20
const BROKER = ['kafka-storage.sh', 'kafka-server-start.sh'] as const
/** Those who judge on Kafka. */
const AUDITORS = ['auditor1', 'auditor2'] as const
/** How often it says what it waits for. */
const WAITING_MS = 5_000

export interface LabOptions {
  /** Folder where programs are looked for first; `null` for `PATH` alone. */
  readonly bin: string | null
  /** Who gives identities; `null` for SPIRE where it can, otherwise the embedded Workload API. */
  readonly identities: 'spire' | 'embedded' | null
  /** Life of SVIDs. */
  readonly ttlSeconds: number
  /** Folder of the policies. */
  readonly policies: string
  /** Whether the services decide by themselves; otherwise they ask OPA. */
  readonly inProcessPolicy: boolean
  /** Whether the Collector writes to a broker as well, and two auditors judge there. Default no. */
  readonly kafka?: boolean
  /** Where spans and logs are written. */
  readonly out: string
  /** How many times longer than they usually would the services wait for what they ask. Default 20. */
  readonly patience?: number
  /** Options of Node for the services. Default none. */
  readonly nodeOptions?: readonly string[]
  /** What the deployment asks of every operation. Default `docker/kest/deployment.yaml`. */
  readonly deployment?: string
  /** Where the services reach each other and the servers; told where those are. Default right there. */
  readonly route?: (to: RoutedName, url: string) => string
  /** Told first of all whose identities they are. */
  readonly announce: (identities: string) => void
  /** Told what is ready, and how long that took; and what is not yet. */
  readonly progress: (text: string) => void
}

/** What services ask of, over the network. */
export type RoutedName = 'hop2' | 'hop3' | 'opa' | 'collector'

export type Urls = Readonly<Record<Service | 'opa' | 'collector', string>>

/** The servers and the services, running. */
export class Lab {
  readonly identities: Identities
  /** `null` where the services decide by themselves. */
  readonly opa: Daemon | null
  readonly collector: Daemon
  /** `null` where spans go to no broker. */
  readonly kafka: Daemon | null
  /** Who judges on Kafka. */
  readonly auditors: readonly Daemon[]
  readonly services: Readonly<Record<Service, Daemon>>
  readonly urls: Urls
  /** Where the Collector writes spans. */
  readonly spansFile: string
  readonly watch: Watch
  readonly #supervisor: Supervisor
  readonly #ports: Ports

  private constructor(parts: Parts) {
    this.identities = parts.identities
    this.opa = parts.opa
    this.collector = parts.collector
    this.kafka = parts.kafka
    this.auditors = parts.auditors
    this.services = parts.services
    this.urls = parts.urls
    this.spansFile = parts.spansFile
    this.watch = parts.supervisor.watch
    this.#supervisor = parts.supervisor
    this.#ports = parts.ports
  }

  /**
   * Starts everything. When this resolves, all of it is ready.
   *
   * @throws {CannotRun} when a program is missing
   * @throws {Failure} when something does not come up; then nothing of it is left
   */
  static async start(options: LabOptions, watch: Watch): Promise<Lab> {
    const programs = new Programs(options.bin)
    const { opa, otelcol } = programs.require('opa', 'otelcol')
    const brokers = options.kafka === true ? programs.require(...BROKER) : null
    const plan = planIdentities(programs, options.identities)
    options.announce(plan.description)
    const logs = join(options.out, 'logs')
    await mkdir(logs, { recursive: true })
    const ports = await Ports.reserve(PORTS)
    const folder = temporaryFolder()
    const supervisor = await Supervisor.start(logs, folder, watch)
    try {
      return await assemble({ opa, otelcol })
    } catch (error) {
      await supervisor.end()
      await ports[Symbol.asyncDispose]()
      throw error
    }

    async function assemble(files: { readonly opa: string; readonly otelcol: string }): Promise<Lab> {
      const { ttlSeconds, policies, inProcessPolicy, nodeOptions = [], patience = PATIENCE } = options
      const { route = direct } = options
      const url = (): string => `http://127.0.0.1:${ports.take()}`
      const urls = { hop1: url(), hop2: url(), hop3: url(), opa: url(), collector: url() }
      const spansFile = join(options.out, 'spans.jsonl')
      const regoWasm = join(folder, 'policies.tar.gz')
      const server = inProcessPolicy
        ? null
        : createOpa(supervisor, { program: files.opa, url: urls.opa, policies })
      const kafka =
        brokers &&
        new KafkaBroker(supervisor, {
          ...{ programs: brokers, port: ports.take(), controllerPort: ports.take() },
          folder: join(folder, 'kafka'),
        })
      const collector = createCollector(supervisor, {
        program: files.otelcol,
        url: urls.collector,
        spansFile,
        kafka: kafka
          ? { brokers: kafka.address, queue: join(folder, 'queue'), metricsPort: ports.take() }
          : undefined,
      })
      const timed = timedBy(options.progress)
      const [identities] = await Promise.all([
        timed('identities', plan.start(supervisor, { folder, port: ports.take(), ttlSeconds })),
        timed('policies', server?.start() ?? compilePolicies(files.opa, policies, regoWasm)),
        timed('Collector', collector.start()),
        kafka && timed('Kafka', kafka.start()),
      ])
      const bundleFile = join(folder, 'bundle.json')
      const auditors = kafka
        ? AUDITORS.map((name) => createAuditor(supervisor, { name, kafka: kafka.address, bundleFile }))
        : []
      if (kafka) {
        await writeFile(bundleFile, JSON.stringify(await identities.bundle()))
        // The first makes the topics.
        for (const auditor of auditors) await timed(auditor.name, auditor.start())
      }
      const services = createServices(supervisor, {
        urls,
        nextUrls: { hop2: route('hop2', urls.hop2), hop3: route('hop3', urls.hop3) },
        nodeOptions,
        identityOf: (name) => identities.settingsOf(name),
        env: {
          ...(inProcessPolicy ? { REGO_WASM: regoWasm } : { OPA_URL: route('opa', urls.opa) }),
          OTEL_EXPORTER_OTLP_ENDPOINT: route('collector', urls.collector),
          PATIENCE: String(patience),
          KEST_CONFIG: options.deployment ?? configurationFile('kest/deployment.yaml'),
        },
      })
      await Promise.all(CHAIN.map((name) => timed(name, services[name].start())))
      return new Lab({
        ...{ identities, opa: server, collector, kafka: kafka?.daemon ?? null, auditors, services },
        ...{ urls, spansFile, supervisor, ports },
      })
    }
  }

  /** From now on, what ends by itself ends alone. */
  goOnWithout(tell: (failure: Failure) => void): void {
    this.#supervisor.onEarlyEnd = tell
  }

  /** What runs, and where: an auditor nowhere but at its log. */
  get places(): readonly { readonly name: string; readonly pid: number | undefined; readonly url: string }[] {
    const daemons = {
      ...this.services,
      ...(this.opa === null ? {} : { opa: this.opa }),
      collector: this.collector,
    }
    const served = Object.entries(daemons).map(([name, { pid }]) => ({
      name,
      pid,
      url: this.urls[name as keyof Urls],
    }))
    const judging = this.auditors.map(({ name, pid }) => ({ name, pid, url: this.#supervisor.logOf(name) }))
    return [...served, ...judging]
  }

  /** The file of what a program has printed. */
  logOf(name: Service | 'opa' | 'collector'): string {
    return this.#supervisor.logOf(name)
  }

  /** What the auditors on Kafka print: a verdict a line, as JSON. */
  get auditorLogs(): readonly string[] {
    return this.auditors.map(({ name }) => this.#supervisor.logOf(name))
  }

  /** Ends the services, then the servers, in good order, so that all spans are written. */
  async stop(): Promise<void> {
    await Promise.all(CHAIN.map((name) => this.services[name].stop()))
    await Promise.all([this.collector.stop(), this.opa?.stop()])
  }

  /** Ends those who judge on Kafka, in good order, when they have judged. */
  async stopAuditors(): Promise<void> {
    await Promise.all(this.auditors.map((one) => one.stop()))
    await this.kafka?.kill()
  }

  /** When this resolves, nothing of it runs any more. Idempotent. */
  async close(): Promise<void> {
    await this.#supervisor.end()
    await this.#ports[Symbol.asyncDispose]()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }
}

type Parts = Pick<
  Lab,
  'identities' | 'opa' | 'collector' | 'kafka' | 'auditors' | 'services' | 'urls' | 'spansFile'
> & {
  readonly supervisor: Supervisor
  readonly ports: Ports
}

function direct(_to: RoutedName, url: string): string {
  return url
}

function timedBy(progress: LabOptions['progress']) {
  return async <T>(what: string, work: Promise<T>): Promise<T> => {
    const start = performance.now()
    const seconds = (digits: number): string => ((performance.now() - start) / 1000).toFixed(digits)
    const waiting = setInterval(() => progress(`${what}: not ready after ${seconds(0)} s`), WAITING_MS)
    try {
      const result = await work
      progress(`${what}: ready after ${seconds(1)} s`)
      return result
    } finally {
      clearInterval(waiting)
    }
  }
}

/** For sockets, whose paths must be short. Others may go through it, and list nothing. */
function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'kest-lab-'))
  chmodSync(folder, 0o711)
  return folder
}
