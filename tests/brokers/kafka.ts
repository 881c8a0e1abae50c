import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { kafkaProperties } from '../../lab/src/servers/kafka-properties.js'
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
  const [port, controllerPort] = [await freePort(), await freePort()]
  const folder = await temporaryFolder('kafka')
  const file = join(folder, 'server.properties')
  await writeFile(file, kafkaProperties({ port, controllerPort, folder }, settings, listener))
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
