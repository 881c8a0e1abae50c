import { existsSync, readFileSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { CHAIN, principalOf, USERS } from '../src/chain.js'
import { configurationFile } from '../src/files.js'
import { collectorArguments } from '../src/servers/collector.js'
import { opaArguments } from '../src/servers/opa.js'
import { spireArguments } from '../src/servers/spire-arguments.js'
import { type Compose, type ComposeService, composeOf, lint } from './support/compose.js'

const FILE = configurationFile('compose.yaml')
const OPAS = CHAIN.map((name) => `${name}-opa`)
const IMAGES = ['spire-server', 'spire-agent', ...OPAS, 'collector']

const compose: Compose = composeOf('compose.yaml')
const services = Object.entries(compose.services)

describe('docker/compose.yaml', () => {
  let folder: string

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'kest-compose-'))
  })

  afterAll(() => rm(folder, { recursive: true }))

  it('is what the compose specification allows, and what its linter has nothing against', () => {
    expect(lint(FILE)).toEqual([])
  })

  it('has mTLS between hops by another file, which changes nothing else', () => {
    const { services: changed } = parse(readFileSync(configurationFile('compose.mtls.yaml'), 'utf8'))
    expect(lint(configurationFile('compose.mtls.yaml'))).toEqual([])
    expect(changed).toEqual({
      hop1: { environment: { NEXT_URL: 'https://hop2:8000' } },
      hop2: { environment: { NEXT_URL: 'https://hop3:8000', MTLS: 'true' }, healthcheck: { timeout: '10s' } },
      hop3: { environment: { MTLS: 'true' }, healthcheck: { timeout: '10s' } },
    })
  })

  it('would not be, were a key misspelt', async () => {
    const misspelt = join(folder, 'compose.yaml')
    await writeFile(misspelt, readFileSync(FILE, 'utf8').replace('read_only: true', 'readonly: true'))
    expect(lint(misspelt)).toContain('invalid-schema')
  })

  it.each(services)('%s has no privileges, and writes only where it says so', (_, service) => {
    expect(service).toMatchObject({
      read_only: true,
      cap_drop: ['ALL'],
      security_opt: ['no-new-privileges:true'],
    })
    expect(service.cap_add).toBeUndefined()
    expect(service.privileged).toBeUndefined()
  })

  it('pins every image, and builds its own', () => {
    for (const [name, { image, build }] of services) {
      if (IMAGES.includes(name)) expect(image, name).toMatch(/^[a-z.]+(\/[a-z-]+)+:\d+\.\d+\.\d+(-static)?$/)
      else expect(build, name).toMatchObject({ dockerfile: 'docker/Dockerfile' })
    }
  })

  it('publishes one port, of hop1, on the loopback', () => {
    const published = services.flatMap(([name, { ports = [] }]) => ports.map((port) => [name, port]))
    expect(published).toEqual([['hop1', '127.0.0.1:8000:8000']])
    const open = Object.entries(compose.networks).filter(([, network]) => network?.internal !== true)
    expect(open.map(([name]) => name)).toEqual(['edge'])
    expect(
      services.filter(([, { networks = [] }]) => networks.includes('edge')).map(([name]) => name),
    ).toEqual(['hop1'])
  })

  it('runs the services as the users that SPIRE knows them by', () => {
    const { entries } = JSON.parse(readFileSync(configurationFile('spire/entries.json'), 'utf8'))
    expect(entries).toEqual(
      CHAIN.map((name) => ({
        entry_id: `kest-${name}`,
        parent_id: 'spiffe://example.org/agent',
        spiffe_id: principalOf(name),
        selectors: [{ type: 'unix', value: `uid:${USERS[name]}` }],
      })),
    )
    for (const name of CHAIN) expect(compose.services[name]?.user).toBe(`${USERS[name]}:${USERS[name]}`)
  })

  it.each(CHAIN)('%s has an OPA of its own, on a socket that the two of them alone have', (name) => {
    const opa = compose.services[`${name}-opa`]
    const group = USERS[name]
    // Another user than the service's, which SPIRE would take it for.
    expect(opa?.user).toBe(`${group + 100}:${group}`)
    expect(opa?.network_mode).toBe('none')
    expect(compose.services[name]?.environment?.['OPA_URL']).toBe('unix:///run/opa/opa.sock')
    const users = services.filter(([, { volumes }]) =>
      volumes.some((text) => text.startsWith(`${name}-opa:`)),
    )
    expect(users.map(([user]) => user).sort()).toEqual([name, `${name}-opa`])
    expect(compose.volumes[`${name}-opa`]?.driver_opts).toEqual({
      type: 'tmpfs',
      device: 'tmpfs',
      o: `uid=${group + 100},gid=${group},mode=750`,
    })
  })

  it('looks after the health of everything that can be asked', () => {
    const without = services.filter(([, { healthcheck }]) => healthcheck === undefined).map(([name]) => name)
    expect(without).toEqual(['registration', 'collector'])
  })

  it('starts the agent when registration is done, and the services when they can be told who they are', () => {
    expect(compose.services['spire-agent']?.depends_on).toEqual({
      registration: { condition: 'service_completed_successfully' },
    })
    for (const name of CHAIN)
      expect(compose.services[name]?.depends_on).toMatchObject({
        'spire-agent': { condition: 'service_healthy' },
        [`${name}-opa`]: { condition: 'service_healthy' },
      })
  })

  it.each(services)('%s mounts what is there', (_, { volumes, command }) => {
    const mounts = volumes.map((text) => text.split(':') as [string, string, string?])
    for (const [source, , mode] of mounts) {
      if (!source.startsWith('.')) {
        expect(Object.keys(compose.volumes)).toContain(source)
        continue
      }
      expect(existsSync(configurationFile(source))).toBe(true)
      expect(mode).toBe('ro')
    }
    const places = command.flatMap((word) => /\/etc\/[\w./-]+/.exec(word) ?? [])
    for (const place of places) {
      const [source, target] = mounts.find(([, path]) => place.startsWith(path)) ?? ['', '']
      expect(existsSync(configurationFile(place.replace(target, source))), place).toBe(true)
    }
  })

  it('says all that the configuration files want to be told', () => {
    for (const name of ['spire/server.conf', 'spire/agent.conf', 'collector/config.yaml']) {
      const wanted = [...readFileSync(configurationFile(name), 'utf8').matchAll(/\$\{(?:env:)?(\w+)/g)]
      const service =
        compose.services[name.startsWith('spire') ? `spire-${basename(name, '.conf')}` : 'collector']
      expect(wanted.length).toBeGreaterThan(1)
      for (const [, variable] of wanted) expect(Object.keys(service?.environment ?? {})).toContain(variable)
    }
  })

  it('runs programs that are built', () => {
    const built = ['registration', ...CHAIN].flatMap((name) => {
      const { command, healthcheck } = compose.services[name] as ComposeService
      return [command, healthcheck?.test ?? []].flatMap((words) =>
        words.filter((word) => word.endsWith('.js')),
      )
    })
    expect(new Set(built)).toEqual(
      new Set([
        'dist/spire/register.js',
        ...CHAIN.map((name) => `dist/services/${name}.js`),
        'dist/services/healthcheck.js',
      ]),
    )
    for (const file of built) expect(existsSync(configurationFile(`../lab/${file}`)), file).toBe(true)
  })

  it('runs servers by the command lines that the lab runs them by', () => {
    for (const name of OPAS)
      expect(compose.services[name]?.command).toEqual([
        ...opaArguments('unix:///run/opa/opa.sock', '/etc/opa'),
        '--unix-socket-perm=770',
      ])
    expect(compose.services['collector']?.command).toEqual(collectorArguments('/etc/otelcol/config.yaml'))
    // Their images run `spire-server run` and `spire-agent run`.
    expect(['run', ...(compose.services['spire-server']?.command ?? [])]).toEqual(
      spireArguments('/etc/spire/server.conf'),
    )
    expect(['run', ...(compose.services['spire-agent']?.command ?? [])]).toEqual([
      ...spireArguments('/etc/spire/agent.conf'),
      '-joinTokenFile',
      '/run/kest/join-token',
    ])
  })
})
