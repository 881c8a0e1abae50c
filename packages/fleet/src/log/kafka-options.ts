import type { ConnectionOptions as TlsOptions } from 'node:tls'
import { assertOptions, KestConfigError } from '@kest/core'

/** How a fleet reaches its brokers. */
export interface KafkaOptions {
  /** `host:port` of some; the others are found by them. */
  readonly brokers: readonly string[]
  /** As `node:tls` takes it; `{}` for the system's authorities. Default: no TLS. */
  readonly tls?: Pick<TlsOptions, 'ca' | 'cert' | 'key' | 'passphrase' | 'servername'>
  /** Default: nobody says who he is. */
  readonly sasl?: KafkaSasl
  /** How brokers call this client in their logs. Default `kest-audit`. */
  readonly clientId?: string
}

export interface KafkaSasl {
  readonly mechanism: 'PLAIN' | 'SCRAM-SHA-256' | 'SCRAM-SHA-512'
  readonly username: string
  readonly password: string
}

const BROKER = /^(?:\[[0-9a-fA-F:.]+\]|[^\s:,/[\]]+):(\d{1,5})$/
const MECHANISMS: readonly unknown[] = ['PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-512']

/** As the client takes them. @throws {KestConfigError} for options that are unknown or wrong */
export function clientOptions(options: KafkaOptions) {
  assertOptions('kafka', options, ['brokers', 'tls', 'sasl', 'clientId'])
  const { brokers, tls, sasl, clientId = 'kest-audit' } = options
  if (!Array.isArray(brokers) || brokers.length === 0 || !brokers.every(isBroker))
    throw new KestConfigError('kafka: brokers: expected a list of HOST:PORT')
  if (typeof clientId !== 'string' || !/^[\w.-]{1,100}$/.test(clientId))
    throw new KestConfigError('kafka: clientId: expected letters, digits, ".", "_" and "-"')
  if (tls !== undefined) assertOptions('kafka: tls', tls, ['ca', 'cert', 'key', 'passphrase', 'servername'])
  if (sasl !== undefined) assertSasl(sasl)
  return {
    clientId,
    bootstrapBrokers: [...brokers] as string[],
    connectTimeout: 5_000,
    ...(tls === undefined ? {} : { tls: { ...tls }, tlsServerName: tls.servername ?? true }),
    ...(sasl === undefined ? {} : { sasl: { ...sasl } }),
  }
}

function isBroker(value: unknown): boolean {
  const port = typeof value === 'string' ? BROKER.exec(value)?.[1] : undefined
  return port !== undefined && Number(port) > 0 && Number(port) < 65_536
}

function assertSasl(sasl: KafkaSasl): void {
  assertOptions('kafka: sasl', sasl, ['mechanism', 'username', 'password'])
  if (!MECHANISMS.includes(sasl.mechanism))
    throw new KestConfigError(`kafka: sasl: mechanism: expected one of ${MECHANISMS.join(', ')}`)
  for (const name of ['username', 'password'] as const) {
    if (typeof sasl[name] !== 'string' || sasl[name] === '')
      throw new KestConfigError(`kafka: sasl: ${name}: expected a text`)
  }
}
