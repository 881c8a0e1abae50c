import { join } from 'node:path'

export interface KafkaPorts {
  readonly port: number
  readonly controllerPort: number
  /** For its log. */
  readonly folder: string
}

/**
 * The properties of Kafka as one node, broker and controller, that listens on 127.0.0.1 alone. Topics are made by whoever wants them.
 * @param settings further properties of the broker
 * @param listener `NAME://HOST:PORT` of another; its protocol is among the settings
 * @returns the text of its file
 */
export function kafkaProperties(
  { port, controllerPort, folder }: KafkaPorts,
  settings: Readonly<Record<string, string | number>> = {},
  listener?: string,
): string {
  const more = listener === undefined ? '' : `,${listener}`
  const properties = {
    'process.roles': 'broker,controller',
    'node.id': 1,
    'controller.quorum.voters': `1@127.0.0.1:${controllerPort}`,
    listeners: `PLAINTEXT://127.0.0.1:${port},CONTROLLER://127.0.0.1:${controllerPort}${more}`,
    'advertised.listeners': `PLAINTEXT://127.0.0.1:${port}${more}`,
    'controller.listener.names': 'CONTROLLER',
    'listener.security.protocol.map': 'PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT',
    'log.dirs': join(folder, 'data'),
    'auto.create.topics.enable': false,
    // There is one broker, and what is kept of groups and transactions is small.
    'offsets.topic.replication.factor': 1,
    'offsets.topic.num.partitions': 1,
    'transaction.state.log.replication.factor': 1,
    'transaction.state.log.min.isr': 1,
    'transaction.state.log.num.partitions': 1,
    // The first consumer of a group waits for no others.
    'group.initial.rebalance.delay.ms': 0,
    ...settings,
  }
  return Object.entries(properties)
    .map(([name, value]) => `${name}=${value}\n`)
    .join('')
}
