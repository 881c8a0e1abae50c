import { existsSync, readdirSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { CHAIN, USERS } from '../src/chain.js'
import { configurationFile } from '../src/files.js'
import { collectorArguments } from '../src/servers/collector.js'
import { opaArguments } from '../src/servers/opa.js'
import { kustomization, MANIFESTS, type Manifest, readManifests, yaml } from './support/manifests.js'

const compose = yaml('compose.yaml')
const { configMapGenerator } = yaml('kustomization.yaml')
const manifests = readManifests()
const of = (kind: string): readonly Manifest[] => manifests.filter((manifest) => manifest.kind === kind)
const find = (kind: string, name: string): Manifest => {
  const found = of(kind).find(({ metadata }) => metadata.name === name)
  if (found === undefined) throw new Error(`there is no ${kind} ${name}`)
  return found
}
const workloads = [...of('Deployment'), ...of('StatefulSet')]
const pods = workloads.map(({ metadata, spec }): [string, Manifest['spec']] => [metadata.name, spec.template])
const containersOf = (pod: Manifest['spec']) => [...(pod.spec.initContainers ?? []), ...pod.spec.containers]

describe('deploy/kubernetes', () => {
  it('has every file of its folder in its kustomization, and every policy', () => {
    const files = readdirSync(MANIFESTS).filter(
      (name) => /\.yaml$/.test(name) && name !== 'kustomization.yaml',
    )
    expect([...kustomization.resources].sort()).toEqual(['../../docker', ...files].sort())
    const named = (configMapGenerator as { files: string[] }[]).flatMap(({ files: these }) => these)
    for (const name of named) expect(existsSync(configurationFile(name)), name).toBe(true)
    const policies = readdirSync(configurationFile('opa')).map((name) => `opa/${name}`)
    expect(named.filter((name) => name.startsWith('opa/'))).toEqual(policies.sort())
  })

  it.each(pods)('%s is restricted, as the namespace enforces', (_, { spec }) => {
    expect(find('Namespace', 'kest').metadata.labels?.['pod-security.kubernetes.io/enforce']).toBe(
      'restricted',
    )
    expect(spec.securityContext).toMatchObject({
      runAsNonRoot: true,
      seccompProfile: { type: 'RuntimeDefault' },
    })
    expect(spec.securityContext.runAsUser).toBeGreaterThan(0)
    expect(spec).toMatchObject({ automountServiceAccountToken: false, enableServiceLinks: false })
    for (const word of ['hostNetwork', 'hostPID', 'hostIPC', 'hostUsers'])
      expect(spec).not.toHaveProperty(word)
    for (const volume of spec.volumes) expect(volume).not.toHaveProperty('hostPath')
    for (const { name, securityContext, ports = [] } of containersOf({ spec })) {
      expect(securityContext, name).toMatchObject({
        allowPrivilegeEscalation: false,
        readOnlyRootFilesystem: true,
        capabilities: { drop: ['ALL'] },
      })
      expect(securityContext.capabilities, name).not.toHaveProperty('add')
      for (const port of ports) expect(port).not.toHaveProperty('hostPort')
    }
  })

  it.each(pods)('%s mounts what it has, where programs look for it', (_, pod) => {
    const claims =
      find(
        pod.metadata.labels['app.kubernetes.io/name'] === 'collector' ? 'StatefulSet' : 'Deployment',
        pod.metadata.labels['app.kubernetes.io/name'],
      ).spec.volumeClaimTemplates ?? []
    const volumes = new Set(
      [...pod.spec.volumes, ...claims.map((claim: Manifest) => claim.metadata)].map(({ name }) => name),
    )
    const used = new Set<string>()
    for (const { name, volumeMounts, args, env = [] } of containersOf(pod)) {
      for (const mount of volumeMounts) {
        expect(volumes, name).toContain(mount.name)
        used.add(mount.name)
      }
      const places = [...args, ...env.map(({ value }: { value: string }) => value)].flatMap(
        (word: string) => /\/(?:etc|run|var)\/[\w./-]+/.exec(word) ?? [],
      )
      for (const place of places)
        expect(
          volumeMounts.some(
            ({ mountPath }: { mountPath: string }) =>
              place === mountPath || place.startsWith(`${mountPath}/`),
          ),
          place,
        ).toBe(true)
    }
    expect([...volumes].sort()).toEqual([...used].sort())
    const maps = pod.spec.volumes.flatMap(
      ({ configMap }: { configMap?: { name: string } }) => configMap?.name ?? [],
    )
    for (const name of maps)
      expect(configMapGenerator.map((one: { name: string }) => one.name)).toContain(name)
  })

  it.each(CHAIN)('%s runs the images, commands and settings of compose', (name) => {
    const { spec } = find('Deployment', name).spec.template
    const [service] = spec.containers
    const [opa] = spec.initContainers
    expect(service.image).toBe(compose.services[name].image)
    expect(service.args).toEqual(compose.services[name].command)
    const env = Object.fromEntries(
      service.env.map((one: { name: string; value: string }) => [one.name, one.value]),
    )
    expect({ ...env, SPIFFE_ENDPOINT_SOCKET: '' }).toEqual({
      ...compose.services[name].environment,
      SPIFFE_ENDPOINT_SOCKET: '',
    })
    expect(opa.image).toBe(compose.services[`${name}-opa`].image)
    expect(opa.args).toEqual([
      ...opaArguments('unix:///run/opa/opa.sock', '/etc/opa'),
      '--unix-socket-perm=770',
      '--ignore=.*',
    ])
    expect(['CMD', ...opa.startupProbe.exec.command]).toEqual(
      compose.services[`${name}-opa`].healthcheck.test,
    )
    // Native: it is there before the service, and for as long.
    expect(opa.restartPolicy).toBe('Always')
    const user = `${opa.securityContext.runAsUser}:${spec.securityContext.runAsGroup}`
    expect(user).toBe(compose.services[`${name}-opa`].user)
    expect([spec.securityContext.runAsUser, spec.securityContext.runAsGroup]).toEqual([
      USERS[name],
      USERS[name],
    ])
    // By which it is named: identities.yaml.
    expect(spec.serviceAccountName).toBe(name)
    expect(find('ServiceAccount', name)).toMatchObject({ automountServiceAccountToken: false })
    for (const probe of ['startupProbe', 'readinessProbe', 'livenessProbe'])
      expect(service[probe].httpGet).toEqual({ path: '/health', port: 'http' })
  })

  it('runs the Collector of compose', () => {
    const [collector] = find('StatefulSet', 'collector').spec.template.spec.containers
    expect(collector.image).toBe(compose.services.collector.image)
    expect(collector.args).toEqual(collectorArguments('/etc/otelcol/config.yaml'))
    const env = Object.fromEntries(
      collector.env.map((one: { name: string; value: string }) => [one.name, one.value]),
    )
    expect(env).toEqual(compose.services.collector.environment)
  })

  it('names by a service account whom policies and the deployment file know', () => {
    const { spec } = find('ClusterSPIFFEID', 'kest')
    expect(spec.spiffeIDTemplate).toBe('spiffe://{{ .TrustDomain }}/{{ .PodSpec.ServiceAccountName }}')
    expect(spec.podSelector.matchExpressions[0].values).toEqual([...CHAIN])
  })

  it('selects pods and ports that there are', () => {
    const labels = pods.map(([, { metadata }]) => metadata.labels['app.kubernetes.io/name'])
    const ports = pods.flatMap(([, { spec }]) =>
      containersOf({ spec }).flatMap(({ ports: these = [] }) => these),
    )
    const names = new Set(ports.map(({ name }) => name))
    for (const { metadata, spec } of of('Service')) {
      expect(labels).toContain(spec.selector['app.kubernetes.io/name'])
      for (const { targetPort } of spec.ports) expect(names, metadata.name).toContain(targetPort)
    }
    for (const { spec } of workloads) expect(spec.selector.matchLabels).toEqual(spec.template.metadata.labels)
  })

  it('lets through what the chain needs, and nothing else', () => {
    expect(find('NetworkPolicy', 'nobody').spec).toEqual({
      podSelector: {},
      policyTypes: ['Ingress', 'Egress'],
    })
    const name = 'app.kubernetes.io/name'
    const ways = of('NetworkPolicy').flatMap(({ spec }) => {
      const self = spec.podSelector.matchLabels?.[name]
      const pairs = (rules: Manifest['spec'][] = [], side: 'from' | 'to') =>
        rules.flatMap((rule) =>
          rule[side].flatMap((peer: Manifest['spec']) => {
            const other = peer.podSelector?.matchLabels?.[name]
            if (other === undefined) return []
            const [{ port }] = rule.ports
            return [side === 'from' ? `${side} ${other} ${self} ${port}` : `${side} ${self} ${other} ${port}`]
          }),
        )
      return self === undefined ? [] : [...pairs(spec.ingress, 'from'), ...pairs(spec.egress, 'to')]
    })
    const wanted = [...['hop1 hop2 http', 'hop2 hop3 http'], ...CHAIN.map((hop) => `${hop} collector otlp`)]
    expect(ways.sort()).toEqual(wanted.flatMap((way) => [`from ${way}`, `to ${way}`]).sort())
  })
})
