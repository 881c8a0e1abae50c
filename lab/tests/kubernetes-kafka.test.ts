import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { configurationFile } from '../src/files.js'
import { auditorArguments } from '../src/servers/auditor.js'
import { collectorArguments } from '../src/servers/collector.js'
import {
  KAFKA_MANIFESTS,
  kafkaKustomization,
  type Manifest,
  readKafkaManifests,
  readManifests,
  yaml,
} from './support/manifests.js'

const FOLDER = KAFKA_MANIFESTS
const { configMapGenerator: ofDocker } = yaml('kustomization.yaml')
const manifests = readKafkaManifests()
const find = (kind: string, name: string): Manifest => {
  const found = manifests.find((one) => one.kind === kind && one.metadata.name === name)
  if (found === undefined) throw new Error(`there is no ${kind} ${name}`)
  return found
}
const pods = [find('Deployment', 'auditor'), find('StatefulSet', 'collector')].map(
  ({ metadata, spec }): [string, Manifest['spec']] => [metadata.name, spec.template.spec],
)
/** Secrets, and the trust bundle, that a cluster's operator makes. */
const GIVEN = ['kest-kafka-ca', 'kest-kafka-auditor-user', 'kest-kafka-collector-user', 'kest-trust']

describe('deploy/kubernetes-kafka', () => {
  it('has every file of its folder in its kustomization, over the base', () => {
    const { resources, configMapGenerator, patches } = kafkaKustomization
    const named = [
      ...resources.filter((name: string) => name !== '../kubernetes'),
      ...configMapGenerator.flatMap(({ files = [] }: { files?: string[] }) => files),
      ...patches.map(({ path }: { path: string }) => path),
    ]
    expect(resources).toContain('../kubernetes')
    const files = readdirSync(FOLDER).filter((name) => name !== 'kustomization.yaml')
    expect(named.sort()).toEqual(files.sort())
  })

  it.each(pods)('%s is restricted, mounts what it has, and finds what it is told', (_, spec) => {
    expect(spec.securityContext).toMatchObject({
      runAsNonRoot: true,
      seccompProfile: { type: 'RuntimeDefault' },
    })
    expect(spec).toMatchObject({ automountServiceAccountToken: false, enableServiceLinks: false })
    const [{ securityContext, volumeMounts, args, env }] = spec.containers
    expect(spec.containers).toHaveLength(1)
    expect(securityContext).toMatchObject({
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'] },
    })
    const mounted = volumeMounts.map(({ name }: { name: string }) => name)
    const has = spec.volumes.map(({ name }: { name: string }) => name)
    // A claim of the base.
    expect([...has, ...(has.includes('configuration') ? ['spans'] : [])].sort()).toEqual([...mounted].sort())
    const words = [...args, ...env.map(({ value = '' }: { value?: string }) => value)]
    for (const place of words.flatMap((word: string) => /\/(?:etc|var)\/[\w./-]+/.exec(word) ?? []))
      expect(
        volumeMounts.some(({ mountPath }: { mountPath: string }) => place.startsWith(`${mountPath}/`)),
        place,
      ).toBe(true)
    const made = [...kafkaKustomization.configMapGenerator, ...ofDocker].map(
      ({ name }: { name: string }) => name,
    )
    const sources = [
      ...spec.volumes.map(({ configMap, secret }: Manifest['spec']) => configMap?.name ?? secret?.secretName),
      ...env.map(
        ({ valueFrom }: Manifest['spec']) =>
          valueFrom?.configMapKeyRef?.name ?? valueFrom?.secretKeyRef?.name,
      ),
    ].filter((name) => name !== undefined)
    for (const name of sources) expect([...made, ...GIVEN]).toContain(name)
  })

  it('runs two auditors by the command line of compose, but for how they reach brokers that others run', () => {
    const { replicas, template } = find('Deployment', 'auditor').spec
    expect(replicas).toBe(2)
    const [{ image, args }] = template.spec.containers
    expect(image).toBe(yaml('compose.kafka.yaml').services.auditor1.image)
    const places = ['/etc/kest-trust/bundle.json', '/etc/kest/deployment.yaml'] as const
    // Topics are made by whoever may, and traces of a fleet settle as late as they do by default.
    const ofCompose = auditorArguments('$(KEST_KAFKA_BROKERS)', ...places, 10).filter(
      (word) => !/^--(create-topics|settle)=/.test(word),
    )
    const [security, ...rest] = args.filter((word: string) => !ofCompose.includes(word))
    expect([...ofCompose, security].sort()).toEqual([...args].sort())
    expect(rest).toEqual([])
    const { tls, sasl } = JSON.parse(readFileSync(join(FOLDER, 'security.json'), 'utf8'))
    expect(security).toBe('--kafka-security=/etc/kafka/security.json')
    const mounts = template.spec.containers[0].volumeMounts.map(
      ({ mountPath }: { mountPath: string }) => mountPath,
    )
    for (const place of [tls.ca, sasl.password_file])
      expect(
        mounts.some((path: string) => place.startsWith(`${path}/`)),
        place,
      ).toBe(true)
  })

  it('runs the Collector by the configuration of a fleet, and says all that it wants to be told', () => {
    const [collector] = find('StatefulSet', 'collector').spec.template.spec.containers
    const files = ['/etc/otelcol/kafka.yaml', '/etc/otelcol-kafka/collector-kafka.yaml']
    expect(collector.args).toEqual(collectorArguments(...files))
    const texts = [
      readFileSync(configurationFile('collector/kafka.yaml'), 'utf8'),
      readFileSync(join(FOLDER, 'collector-kafka.yaml'), 'utf8'),
    ]
    const wanted = texts.flatMap((text) =>
      [...text.matchAll(/\$\{env:(\w+)/g)].map(([, name]) => name as string),
    )
    const told = collector.env.map(({ name }: { name: string }) => name)
    expect([...wanted].sort()).toEqual([...told].sort())
    // What is laid over it adds how the brokers are reached, and changes nothing.
    const { exporters } = parse(texts[1] as string)
    expect(Object.keys(exporters.kafka).sort()).toEqual(['auth', 'tls'])
    expect(parse(texts[0] as string).exporters.kafka).not.toHaveProperty('tls')
    const queue = collector.env.find(({ name }: { name: string }) => name === 'KEST_COLLECTOR_QUEUE').value
    expect(queue).toMatch(/^\/var\/lib\/otelcol\//)
  })

  it('has no secret in it', () => {
    for (const name of readdirSync(FOLDER))
      expect(readFileSync(join(FOLDER, name), 'utf8')).not.toMatch(
        /kind: Secret|BEGIN [A-Z ]*(?:KEY|CERTIFICATE)|password: [^$]/,
      )
  })

  it('lets the Collector and the auditors reach the brokers, and nobody the auditors', () => {
    const policies = manifests.filter(({ kind }) => kind === 'NetworkPolicy')
    const name = 'app.kubernetes.io/name'
    expect(policies.map(({ spec }) => spec.podSelector.matchLabels[name]).sort()).toEqual([
      'auditor',
      'collector',
    ])
    for (const { spec } of policies) {
      expect(spec.ingress).toBeUndefined()
      expect(spec.policyTypes).toContain('Egress')
      expect(spec.egress).toEqual([
        {
          to: [{ namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'kafka' } } }],
          ports: [{ port: 9093 }],
        },
      ])
    }
    const base = readManifests()
      .filter(({ kind }) => kind === 'NetworkPolicy')
      .map(({ metadata }) => metadata.name)
    for (const { metadata } of policies) expect(base).not.toContain(metadata.name)
    const [{ literals }] = kafkaKustomization.configMapGenerator
    expect(literals).toEqual([expect.stringMatching(/^brokers=[\w-]+\.kafka:9093$/)])
  })
})
