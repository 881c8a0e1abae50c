import { readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createKeySource } from '@kest/core'
import {
  type Acl,
  AclOperations,
  AclPermissionTypes,
  Admin,
  Producer,
  ResourcePatternTypes,
  ResourceTypes,
} from '@platformatic/kafka'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { type Broker, temporaryFolder } from '../../../tests/brokers/broker.js'
import { startSecuredKafka } from '../../../tests/brokers/secured-kafka.js'
import { otlpLine } from '../../audit/dist/testing/make-span.js'
import { soundTrace, Workloads } from '../../audit/dist/testing/plant.js'
import { certificate } from '../../http/tests/support/certificate.js'
import { createTopics, Fleet, type KafkaOptions } from '../src/index.js'
import { startAuditor } from './support/auditor.js'

const PASSWORD = 'a-password'
const TOPIC = 'otlp_spans'

interface Permission {
  readonly kind: 'TOPIC' | 'GROUP' | 'TRANSACTIONAL_ID'
  readonly name: string
  readonly prefixed: boolean
  readonly operation: 'READ' | 'WRITE' | 'DESCRIBE_CONFIGS'
}

/** The table of docs/fleet.md. */
async function documented(): Promise<Permission[]> {
  const guide = await readFile(new URL('../../../docs/fleet.md', import.meta.url), 'utf8')
  const [table = ''] = /(?<=### Access lists\n)(?:.*\n)+?(?=With `--create-topics`)/.exec(guide) ?? []
  const rows = [...table.matchAll(/^\| (topic|group|transactional id)s? (.+) \| (.+) \|$/gm)]
  const quoted = (text: string) => [...text.matchAll(/`([^`]+)`/g)].map(([, name]) => name as string)
  return rows.flatMap(([, kind = '', names = '', operations = '']) =>
    quoted(names).flatMap((name) =>
      quoted(operations).map((operation) => ({
        kind: kind.toUpperCase().replace(' ', '_') as Permission['kind'],
        name,
        prefixed: names.includes('begin with'),
        operation: operation.replace(/(?<=[a-z])(?=[A-Z])/, '_').toUpperCase() as Permission['operation'],
      })),
    ),
  )
}

const PERMISSIONS = await documented()

describe('a broker with TLS, SASL and access lists', () => {
  let broker: Broker
  let url: string
  let admin: Admin
  let folder: string
  let ca: string
  const workloads = new Workloads()
  const trust = createKeySource(new Map(Object.entries(workloads.keys())) as never)
  const trace = soundTrace(workloads)
  const lacking = PERMISSIONS.map((_, n) => `lacks-${n}`)
  const users = ['whole', ...lacking]
  /** Topics that who makes a page may read. */
  const readers = { reader: ['kest-verdicts', 'kest-findings'], half: ['kest-verdicts'] }

  beforeAll(async () => {
    const own = await certificate()
    ca = own.cert
    const started = await startSecuredKafka({
      ...own,
      users: Object.fromEntries([...users, ...Object.keys(readers)].map((name) => [name, PASSWORD])),
    })
    broker = started.broker
    url = started.url
    const client = { clientId: 'test', bootstrapBrokers: [broker.url], retries: 100, retryDelay: 100 }
    admin = new Admin(client)
    await admin.createTopics({ topics: [TOPIC], partitions: 1, replicas: 1 })
    const producer = new Producer({ ...client, acks: -1 })
    for (const one of [admin, producer]) one.on('error', () => {})
    const spans = trace.spans.map(({ span }) => span)
    const value = Buffer.from(otlpLine('any', spans))
    await producer.send({ messages: [{ topic: TOPIC, partition: 0, value }] })
    await producer.close(true)
    const creations = users.flatMap((user, n) =>
      PERMISSIONS.filter((_, at) => at !== n - 1).map((one) => aclOf(user, one)),
    )
    for (const [reader, topics] of Object.entries(readers))
      for (const name of topics) {
        const read = { kind: 'TOPIC', name, prefixed: false, operation: 'READ' } as const
        creations.push({ ...aclOf('whole', read), principal: `User:${reader}` })
      }
    await admin.createAcls({ creations })
    for (const prefix of users)
      await createTopics({ kafka: { brokers: [broker.url] }, prefix, partitions: 1 })
    folder = await temporaryFolder('fleet')
    await writeFile(join(folder, 'keys.json'), JSON.stringify({ keys: workloads.keys() }))
    await writeFile(join(folder, 'ca.pem'), ca)
    await writeFile(join(folder, 'other.pem'), (await certificate()).cert)
    await writeFile(join(folder, 'password'), `${PASSWORD}\n`)
    await writeFile(join(folder, 'wrong'), 'another\n')
  })

  afterAll(async () => {
    await admin?.close()
    await broker?.stop()
    if (folder !== undefined) await rm(folder, { recursive: true, force: true })
  })

  /** To each user his own names. */
  function namedFor(user: string, name: string): string {
    return name.replace(/^kest-/, `${user}-`)
  }

  function aclOf(user: string, { kind, name, prefixed, operation }: Permission): Acl {
    return {
      resourceType: ResourceTypes[kind],
      resourceName: namedFor(user, name),
      resourcePatternType: ResourcePatternTypes[prefixed ? 'PREFIXED' : 'LITERAL'],
      principal: `User:${user}`,
      host: '*',
      operation: AclOperations[operation],
      permissionType: AclPermissionTypes.ALLOW,
    }
  }

  function kafkaOf(user: string, mechanism: 'PLAIN' | 'SCRAM-SHA-512' = 'SCRAM-SHA-512'): KafkaOptions {
    return { brokers: [url], tls: { ca }, sasl: { mechanism, username: user, password: PASSWORD } }
  }

  /** What groups of the user have committed. */
  async function committed(user: string, stages = ['split', 'judge', 'sequences']): Promise<bigint[]> {
    const groups = stages.map((stage) => {
      const name = {
        split: TOPIC,
        judge: `${user}-entries`,
        sequences: `${user}-facts`,
        roster: `${user}-facts`,
      }[stage] as string
      return { groupId: `${user}-audit-${stage}`, topics: [{ name, partitionIndexes: [0] }] }
    })
    const found = await admin.listConsumerGroupOffsets({ groups })
    const partitions = found.flatMap((one) => one.topics).flatMap((one) => one.partitions)
    return partitions.map(({ committedOffset }) => committedOffset).filter((offset) => offset >= 0n)
  }

  function optionsOf(user: string, kafka: KafkaOptions) {
    const settling = { settleMs: 200 }
    return {
      kafka,
      judge: { trust },
      topic: TOPIC,
      prefix: user,
      group: `${user}-audit`,
      settling,
      roster: [{ workload: 'spiffe://kest.test/nobody', withinMs: 86_400_000 }],
    }
  }

  it.each(['PLAIN', 'SCRAM-SHA-512'] as const)(
    'K-FLEET judges with what docs/fleet.md says that it needs, and no more: %s',
    async (mechanism) => {
      const seen: string[] = []
      const onVerdict = ({ trace_id, verdict }: { trace_id: string | null; verdict: string }) =>
        void seen.push(`${trace_id} ${verdict}`)
      const fleet = await Fleet.start({ ...optionsOf('whole', kafkaOf('whole', mechanism)), onVerdict })
      onTestFinished(() => fleet.close())
      if (mechanism === 'PLAIN') await expect.poll(() => seen).toEqual([`${trace.traceId} verified`])
      else await expect.poll(() => committed('whole')).not.toEqual([])
      await fleet.close()
    },
  )

  it.each([
    { user: 'reader', code: 0, says: /^(?!.*kest)/s },
    { user: 'half', code: 2, says: /whole-findings.*not allowed \(TOPIC_AUTHORIZATION_FAILED\)/ },
  ])(
    'K-FLEET makes a page for who may read verdicts and findings, joining no group, and not for less: $user',
    async ({ user, code, says }) => {
      const sasl = { mechanism: 'SCRAM-SHA-512', username: user, password_file: 'password' }
      await writeFile(join(folder, 'reader.json'), JSON.stringify({ tls: { ca: 'ca.pem' }, sasl }))
      const page = join(folder, `${user}.html`)
      const groups = await admin.listGroups()
      const one = startAuditor([
        ...['--kafka', url, '--kafka-security', join(folder, 'reader.json')],
        ...['--prefix', 'whole', '--html', page],
      ])
      onTestFinished(() => one.kill())
      expect(await one.ended).toBe(code)
      expect(one.said()).toMatch(says)
      if (code === 0) expect(await readFile(page, 'utf8')).toContain('<title>Audit of 1 trace</title>')
      else await expect(readFile(page)).rejects.toThrow('ENOENT')
      expect([...(await admin.listGroups()).keys()]).toEqual([...groups.keys()])
    },
  )

  it.each(PERMISSIONS.map((one, n) => ({ ...one, user: lacking[n] as string })))(
    'K-FLEET says so, and commits nothing of what it could not do, where it may not $operation $kind $name',
    async ({ kind, name, operation, user }) => {
      const run = async (): Promise<void> => {
        await using fleet = await Fleet.start(optionsOf(user, kafkaOf(user)))
        await fleet.done
      }
      const failed = await run().then(
        () => null,
        (error: unknown) => error,
      )
      expect(failed).toMatchObject({ code: 'ERR_KEST_CONFIG' })
      expect((failed as Error).message).toContain(`not allowed (${kind}_AUTHORIZATION_FAILED)`)
      // What was split before a verdict could not be written is in the log for good, and is judged by whoever may.
      const isLate = operation === 'WRITE' && /^kest-(verdicts|facts)/.test(name)
      const isLast = operation === 'WRITE' && /^kest-state/.test(name)
      const undone = isLast
        ? ['sequences']
        : isLate
          ? ['judge', 'sequences']
          : ['split', 'judge', 'sequences']
      expect(await committed(user, undone)).toEqual([])
    },
  )

  it.each([
    { wrong: 'password', change: { sasl: { password: 'another' } }, says: /credentials/ },
    {
      wrong: 'password of PLAIN',
      change: { sasl: { mechanism: 'PLAIN', password: 'another' } },
      says: /credentials/,
    },
    { wrong: 'user', change: { sasl: { username: 'nobody' } }, says: /credentials/ },
    { wrong: 'mechanism', change: { sasl: { mechanism: 'SCRAM-SHA-256' } }, says: /credentials/ },
    { wrong: 'name', change: { tls: { servername: 'elsewhere.test' } }, says: /TLS/ },
    { wrong: 'protocol, without TLS', change: { tls: null }, says: /kafka: topic otlp_spans/ },
    { wrong: 'protocol, without a user', change: { sasl: null }, says: /kafka: topic otlp_spans/ },
  ] as { wrong: string; change: { tls?: object | null; sasl?: object | null }; says: RegExp }[])(
    'K-FLEET says so, and commits nothing, at the wrong $wrong',
    async ({ change, says }) => {
      const { brokers, ...security } = kafkaOf('whole')
      const before = await committed('whole')
      const changed = (Object.entries(security) as [string, object][]).flatMap(([name, given]) => {
        const own = change[name as 'tls' | 'sasl']
        return own === null ? [] : [[name, { ...given, ...own }]]
      })
      const kafka = { brokers, ...Object.fromEntries(changed) } as KafkaOptions
      await expect(Fleet.start(optionsOf('whole', kafka))).rejects.toThrow(says)
      expect(await committed('whole')).toEqual(before)
    },
  )

  it.each([
    { wrong: 'password', ca: 'ca.pem', password: 'wrong', says: /does not take these credentials/ },
    { wrong: 'authority', ca: 'other.pem', password: 'password', says: /TLS/ },
  ])(
    'K-FLEET a process says so, and ends with 2, at the wrong $wrong',
    async ({ ca: file, password, says }) => {
      const sasl = { mechanism: 'SCRAM-SHA-512', username: 'whole', password_file: password }
      await writeFile(join(folder, 'security.json'), JSON.stringify({ tls: { ca: file }, sasl }))
      const one = startAuditor([
        ...['--kafka', url, '--kafka-security', join(folder, 'security.json'), '--topic', TOPIC],
        ...['--trust', join(folder, 'keys.json'), '--prefix', 'whole', '--group', 'whole-audit'],
      ])
      onTestFinished(() => one.kill())
      expect(await one.ended).toBe(2)
      expect(one.said()).toMatch(says)
      expect(one.said()).not.toMatch(/a-password|another/)
      expect(one.lines).toEqual([])
    },
  )
})
