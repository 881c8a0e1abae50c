import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { ask } from './ask.js'
import { type Broker, runToEnd, startBroker, temporaryFolder } from './broker.js'
import { freePort } from './free-port.js'

const CLUSTER = Buffer.from('kest-live-broker').toString('base64url')
/** ApiVersions, version 0, of correlation id 1 and no client id. */
const API_VERSIONS = Uint8Array.of(0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 1, 255, 255)

/** What a broker has beside its plain listener. */
export interface KafkaExtras {
  /** `NAME://HOST:PORT` of another; its protocol is among the settings. */
  readonly listener?: string
  /** Further arguments for formatting its log. */
  readonly format?: readonly string[]
}

/**
 * Kafka as one node, broker and controller, without ZooKeeper. Topics are made by whoever wants them. `url` is its bootstrap
 * address, `127.0.0.1:PORT`.
 * @param settings further properties of the broker
 */
export async function startKafka(
  settings: Readonly<Record<string, string | number>> = {},
  { listener, format = [] }: KafkaExtras = {},
): Promise<Broker> {
  const [port, controller] = [await freePort(), await freePort()]
  const folder = await temporaryFolder('kafka')
  const file = join(folder, 'server.properties')
  const more = listener === undefined ? '' : `,${listener}`
  const properties = {
    'process.roles': 'broker,controller',
    'node.id': 1,
    'controller.quorum.voters': `1@127.0.0.1:${controller}`,
    listeners: `PLAINTEXT://127.0.0.1:${port},CONTROLLER://127.0.0.1:${controller}${more}`,
    'advertised.listeners': `PLAINTEXT://127.0.0.1:${port}${more}`,
    'controller.listener.names': 'CONTROLLER',
    'listener.security.protocol.map': 'PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT',
    'log.dirs': join(folder, 'data'),
    'auto.create.topics.enable': false,
    'offsets.topic.replication.factor': 1,
    'offsets.topic.num.partitions': 1,
    'transaction.state.log.replication.factor': 1,
    'transaction.state.log.min.isr': 1,
    'transaction.state.log.num.partitions': 1,
    // The first consumer of a group waits for no others.
    'group.initial.rebalance.delay.ms': 0,
    ...settings,
  }
  await writeFile(
    file,
    Object.entries(properties)
      .map(([name, value]) => `${name}=${value}\n`)
      .join(''),
  )
  await runToEnd(
    { command: 'kafka-storage.sh', args: ['format', '-t', CLUSTER, '-c', file, ...format] },
    folder,
  )
  return startBroker({
    port,
    url: `127.0.0.1:${port}`,
    folder,
    programs: [{ command: 'kafka-server-start.sh', args: [file] }],
    // It takes no question before it is part of its cluster.
    ready: () => ask(port, API_VERSIONS),
  })
}
