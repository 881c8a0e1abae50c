import type { Broker } from './broker.js'
import { freePort } from './free-port.js'
import { startKafka } from './kafka.js'

export interface SecuredOptions {
  /** PEM of the broker's certificate and of its key. */
  readonly cert: string
  readonly key: string
  /** By name, the password, which is taken by PLAIN and SCRAM-SHA-512. */
  readonly users: Readonly<Record<string, string>>
}

/** Kafka with a listener of TLS, SASL and access lists beside the plain one, on which anybody may do anything. */
export async function startSecuredKafka({
  cert,
  key,
  users,
}: SecuredOptions): Promise<{ readonly broker: Broker; readonly url: string }> {
  const url = `127.0.0.1:${await freePort()}`
  const plain = Object.entries(users).map(([name, password]) => `user_${name}="${password}"`)
  const own = 'listener.name.secured'
  const text = (pem: string): string => pem.trim().replace(/\r?\n/g, '\\n')
  const settings = {
    'listener.security.protocol.map': 'PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SECURED:SASL_SSL',
    [`${own}.sasl.enabled.mechanisms`]: 'PLAIN,SCRAM-SHA-512',
    [`${own}.plain.sasl.jaas.config`]: `org.apache.kafka.common.security.plain.PlainLoginModule required ${plain.join(' ')};`,
    [`${own}.scram-sha-512.sasl.jaas.config`]:
      'org.apache.kafka.common.security.scram.ScramLoginModule required;',
    [`${own}.ssl.keystore.type`]: 'PEM',
    [`${own}.ssl.keystore.certificate.chain`]: text(cert),
    [`${own}.ssl.keystore.key`]: text(key),
    'authorizer.class.name': 'org.apache.kafka.metadata.authorizer.StandardAuthorizer',
    'super.users': 'User:ANONYMOUS',
  }
  const format = Object.entries(users).flatMap(([name, password]) => [
    '--add-scram',
    `SCRAM-SHA-512=[name=${name},password=${password}]`,
  ])
  return { broker: await startKafka(settings, { listener: `SECURED://${url}`, format }), url }
}
