import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { configurationFile } from '../src/files.js'
import { auditorArguments } from '../src/servers/auditor.js'
import { BOTH, collectorArguments } from '../src/servers/collector.js'
import { CLUSTER, MAX_MESSAGE_BYTES, PARTITIONS, TOPIC } from '../src/servers/kafka.js'
import { kafkaProperties } from '../src/servers/kafka-properties.js'
import { type Compose, composeOf, lint } from './support/compose.js'

const NAME = 'compose.kafka.yaml'
const base = composeOf('compose.yaml')
const kafka = composeOf(NAME) as Compose & {
  readonly configs: Readonly<Record<string, { readonly file: string }>>
}
const { kafka: broker, 'kafka-topics': topics, collector, auditor1, auditor2, ...others } = kafka.services
const own = Object.entries({ broker, topics, auditor1, auditor2 })
const AUDITORS = [auditor1, auditor2]

/** Properties, without what is said of them. */
function properties(text: string): readonly string[] {
  return text.split('\n').filter((line) => line !== '' && !line.startsWith('#'))
}

describe('docker/compose.kafka.yaml', () => {
  it('is what the compose specification allows, and what its linter has nothing against', () => {
    expect(lint(configurationFile(NAME))).toEqual([])
  })

  it('has a broker, its topic and two auditors, and changes the Collector alone', () => {
    expect(others).toEqual({})
    expect(base.services).toHaveProperty('collector')
    for (const name of ['kafka', 'kafka-topics', 'auditor1', 'auditor2'])
      expect(base.services).not.toHaveProperty(name)
    expect(auditor1).toEqual(auditor2)
    expect(new Set(Object.keys(collector ?? {}))).toEqual(
      new Set(['command', 'environment', 'networks', 'depends_on']),
    )
  })

  it.each(own)('%s has no privileges, and writes only where it says so', (_, service) => {
    const { read_only, cap_drop, security_opt } = base.services['hop1'] as Compose['services'][string]
    expect(service).toMatchObject({ read_only, cap_drop, security_opt })
    expect(service?.cap_add).toBeUndefined()
    expect(service?.privileged).toBeUndefined()
  })

  it('pins the image of Kafka, and builds that of kest', () => {
    expect(broker?.image).toMatch(/^apache\/kafka:4\.\d+\.\d+$/)
    expect(topics?.image).toBe(broker?.image)
    expect(auditor1?.build).toEqual({ context: '..', dockerfile: 'docker/Dockerfile', target: 'kest' })
  })

  it('lets nobody reach the broker but the Collector and the auditors, and publishes nothing', () => {
    for (const [name, service] of Object.entries(kafka.services)) {
      expect(service.networks, name).toEqual(['log'])
      expect(service.ports, name).toBeUndefined()
    }
    expect(kafka.networks).toEqual({ log: { internal: true } })
    expect(base.networks).not.toHaveProperty('log')
  })

  it('has the broker of the lab, where whoever is on its network finds it', () => {
    const file = properties(readFileSync(configurationFile('kafka/server.properties'), 'utf8'))
    const wanted = kafkaProperties({ port: 9092, controllerPort: 9093, folder: '/var/lib/kafka' })
      .replace('listeners=PLAINTEXT://127.0.0.1:9092', 'listeners=PLAINTEXT://0.0.0.0:9092')
      .replace(
        'advertised.listeners=PLAINTEXT://127.0.0.1:9092',
        'advertised.listeners=PLAINTEXT://kafka:9092',
      )
    expect([...file].sort()).toEqual([...properties(wanted)].sort())
    expect(readdirSync(configurationFile('kafka'))).toEqual(['server.properties'])
    const [script = ''] = broker?.command ?? []
    expect(script).toContain(`--cluster-id ${CLUSTER} `)
    expect(script.match(/\/etc\/kest-kafka\/[^\s;]*/g)).toEqual(
      Array(2).fill('/etc/kest-kafka/server.properties'),
    )
    expect(broker?.volumes).toEqual(['./kafka:/etc/kest-kafka:ro', 'kafka:/var/lib/kafka/data'])
    expect(broker?.healthcheck).toBeDefined()
  })

  it('makes the topic of the lab, before the Collector and the auditors begin', () => {
    expect(topics?.command).toEqual([
      '--bootstrap-server=kafka:9092',
      '--create',
      '--if-not-exists',
      `--topic=${TOPIC}`,
      `--partitions=${PARTITIONS}`,
      '--replication-factor=1',
      `--config=max.message.bytes=${MAX_MESSAGE_BYTES}`,
      '--config=retention.ms=604800000',
    ])
    expect(topics?.depends_on).toEqual({ kafka: { condition: 'service_healthy' } })
    for (const service of [collector, ...AUDITORS])
      expect(service?.depends_on).toEqual({
        'kafka-topics': { condition: 'service_completed_successfully' },
      })
  })

  it('runs the Collector and the auditors by the command lines of the lab', () => {
    const files = ['config', 'kafka'].map((name) => `/etc/otelcol/${name}.yaml`)
    expect(collector?.command).toEqual(collectorArguments(...files, `yaml:${JSON.stringify(BOTH)}`))
    const places = ['/etc/kest-trust/bundle.json', '/etc/kest/deployment.yaml'] as const
    for (const auditor of AUDITORS) {
      expect(auditor?.command).toEqual(auditorArguments('kafka:9092', ...places, 10))
      expect(auditor?.volumes).toEqual(['./kest:/etc/kest:ro'])
      expect(auditor).toMatchObject({ configs: [{ source: 'trust-bundle', target: places[0] }] })
    }
    // At the top of the repository, where the manual makes it.
    expect(kafka.configs).toEqual({ 'trust-bundle': { file: '../bundle.json' } })
  })

  it('says all that the configuration of the exporter wants to be told', () => {
    const text = readFileSync(configurationFile('collector/kafka.yaml'), 'utf8')
    const told = { ...base.services['collector']?.environment, ...collector?.environment }
    const wanted = [...text.matchAll(/\$\{env:(\w+)/g)].map(([, name]) => name as string)
    expect(wanted.length).toBeGreaterThan(4)
    for (const name of wanted) expect(Object.keys(told)).toContain(name)
    expect(told['KEST_COLLECTOR_QUEUE']).toMatch(/^\/var\/lib\/otelcol\//)
    expect(told['KEST_KAFKA_TOPIC']).toBe(TOPIC)
  })
})
