import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { cp, mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { auditSpans, isComplete, itemOf } from '../src/audit/audit.js'
import { CHAIN, RESULT, USERS } from '../src/chain.js'
import { ask, codeOf } from '../src/client/requests.js'
import { Ports } from '../src/supervisor/ports.js'
import { until } from '../src/supervisor/until.js'
import { Watch } from '../src/supervisor/watch.js'
import { confinementOf, isAnswered, reachedFrom } from './support/confined.js'
import {
  type Block,
  CAN_RUN,
  Containers,
  cloneTo,
  holdMachine,
  type Inspected,
  lines,
  manual,
} from './support/containers.js'
import { rewrite } from './support/scene.js'
import { SteadyLoad } from './support/steady-load.js'
import { leafOf } from './support/svids.js'

const PATIENCE_MS = 1_200_000
/** Conditions are waited for; this only ends what would hang. */
const LATE_MS = 240_000
/** Of the manual: in the clone it is another, for this one may be taken. */
const PUBLISHED = '127.0.0.1:8000'
const OPAS = CHAIN.map((name) => `${name}-opa`)
const RUNNING = ['spire-server', 'spire-agent', ...OPAS, 'collector', ...CHAIN]
/** About twenty requests a second. */
const PACE = { clients: 10, pauseMs: 500 }
const WELL = 10
/** Each is renewed at half of its life: some times while all this goes on. */
const SVID_LIFE = '60s'

/** Whose processes they are, in containers and on the host alike, and where these write. */
const CONFINED: Readonly<Record<string, Confined>> = {
  'spire-server': { user: 1000, writable: ['/run/spire/server/private', '/tmp', '/var/lib/spire/server'] },
  'spire-agent': { user: 0, writable: ['/run/spire/agent/public', '/tmp', '/var/lib/spire/agent'] },
  collector: { user: 0, writable: ['/var/lib/otelcol'] },
  ...Object.fromEntries(CHAIN.map((name) => [name, { user: USERS[name], writable: [] }])),
  ...Object.fromEntries(
    CHAIN.map((name) => [
      `${name}-opa`,
      { user: USERS[name] + 100, group: USERS[name], writable: ['/run/opa'] },
    ]),
  ),
}

interface Confined {
  readonly user: number
  /** Default that of the user's number. */
  readonly group?: number
  readonly writable: readonly string[]
}

/** Where each listens, and who is on a network with it. */
const LISTEN = { 'spire-server': 8081, collector: 4318, hop1: 8000, hop2: 8000, hop3: 8000 }
const CHAINED = ['collector', ...CHAIN]
const REACHED: Readonly<Record<string, readonly string[]>> = {
  'spire-server': ['spire-server'],
  'spire-agent': ['spire-server'],
  ...Object.fromEntries(OPAS.map((name) => [name, []])),
  ...Object.fromEntries(CHAINED.map((name) => [name, CHAINED])),
}

// One after the other, each on what the one before left: it is a manual that is followed.
describe.skipIf(!CAN_RUN)('docker/README.md, by containers', () => {
  const watch = new Watch()
  const answered: string[] = []
  let containers: Containers
  let ports: Ports
  let published: string
  let letGo: () => void
  let folder: string
  let blocks: readonly Block[]
  let inspected: Readonly<Record<string, Inspected>>

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'kest-containers-'))
    await cloneTo(folder)
    containers = new Containers(folder)
    letGo = await holdMachine()
    ports = await Ports.reserve(1)
    published = `127.0.0.1:${ports.take()}`
    await rewrite(join(folder, 'docker/compose.yaml'), (text) =>
      text.replace(`${PUBLISHED}:`, `${published}:`),
    )
    if ((await containers.all()).length > 0)
      throw new Error('there are containers of docker/ that are not this test’s')
    await rewrite(join(folder, 'docker/spire/server.conf'), (text) =>
      text.replace(/(?<=default_x509_svid_ttl = )"1h"/, JSON.stringify(SVID_LIFE)),
    )
    blocks = await manual()
  }, PATIENCE_MS)

  afterAll(async () => {
    watch.end()
    if (inspected !== undefined) await containers.compose('down --volumes')
    await ports[Symbol.asyncDispose]()
    letGo()
    await rm(folder, { recursive: true })
  }, PATIENCE_MS)

  const commands = (first: string): string => {
    const block = blocks.find(({ language, text }) => language === 'sh' && text.startsWith(first))
    if (block === undefined) throw new Error(`the manual has no block that begins with ${first}`)
    return block.text.replaceAll(PUBLISHED, published)
  }
  const pidOf = (service: string): number => (inspected[service] as Inspected).State.Pid

  /** Under load: all is well, something happens, and all is well again. What was answered is remembered. */
  const endure = async (name: string, happen: (load: SteadyLoad) => Promise<void>): Promise<void> => {
    const load = new SteadyLoad({ url: `http://${published}/`, watch, name, ...PACE })
    await load.untilWell(WELL, LATE_MS)
    await happen(load)
    const over = performance.now()
    await load.untilWell(WELL, LATE_MS)
    await load.stop()
    answered.push(...load.answered)
    const failed = load.outcomes.filter(({ code, unclear }) => code !== null || unclear !== null)
    const last = Math.max(over, ...failed.map(({ ended }) => ended))
    console.log(
      `${name}: ${load.answered.length} answered, ${JSON.stringify(countBy(failed.map(({ code }) => code ?? 'none')))}, the last ${((last - over) / 1000).toFixed(1)} s after`,
    )
    // Where hop1 itself is gone, there is nobody to say a code: the connection fails.
    const unclear = load.outcomes.flatMap((one) => one.unclear ?? [])
    expect(unclear.filter((text) => name !== 'hop1' || text !== 'TypeError: fetch failed')).toEqual([])
  }

  /** Until somebody is there to say a code. */
  const untilListens = (): Promise<unknown> =>
    until(
      () => fetch(`http://${published}/`).then(({ status }) => status),
      { timeoutMs: LATE_MS, late: () => 'hop1 does not listen' },
      watch,
    )

  it(
    'comes up from a clone, and answers what is printed',
    async () => {
      const answers = blocks.filter(({ language }) => language === 'json').map(({ text }) => JSON.parse(text))
      expect(answers[0]).toEqual(RESULT)
      inspected = {}
      const printed = await containers.shell(commands('docker compose -f docker/compose.yaml up'))
      expect(JSON.parse(printed.trim().split('\n').at(-1) as string)).toEqual(answers[0])
      for (const name of RUNNING) inspected = { ...inspected, [name]: await containers.inspect(name) }
    },
    PATIENCE_MS,
  )

  it(
    'proves what was asked by the file and the bundle',
    async () => {
      const printed = await containers.shell(commands('docker compose -f docker/compose.yaml cp'))
      expect(printed).toMatch(/verified/)
    },
    PATIENCE_MS,
  )

  it(
    'proves it by the image of kest, too, as a user without privileges or a network',
    async () => {
      await containers.shell('chmod a+rx . && chmod a+r spans.jsonl bundle.json')
      const printed = await containers.shell(commands('docker build -f docker/Dockerfile --target kest'))
      expect(printed).toMatch(/verified/)
      expect(await containers.docker('image', 'inspect', '--format', '{{.Config.User}}', 'kest')).toBe('node')
    },
    PATIENCE_MS,
  )

  it(
    'puts nothing into the image of kest that says when it was built',
    async () => {
      const find = ['--entrypoint', 'find', 'kest', '/srv', '/work', '-newermt', '@0']
      expect(await containers.docker('run', '--rm', '--network', 'none', ...find)).toBe('')
    },
    PATIENCE_MS,
  )

  it(
    'runs the demonstration in one container',
    async () => {
      const printed = await containers.shell(
        commands('docker build -f docker/Dockerfile --target demonstration'),
      )
      expect(printed).toContain('end_of_chain')
    },
    PATIENCE_MS,
  )

  it(
    'lists what is in the images, and nothing is that only builds or tests',
    async () => {
      await containers.shell(commands('docker build -f docker/Dockerfile --target sbom'))
      for (const [image, dependency] of [
        ['kest', 'fastify'],
        ['kest-cli', 'dagre'],
        ['three-hop', 'express'],
      ]) {
        const { components } = JSON.parse(await readFile(join(folder, `sbom/${image}.json`), 'utf8'))
        const names = components.map(({ name }: { name: string }) => name)
        expect(names).toContain(dependency)
        for (const name of ['typescript', 'vitest', 'biome', 'dclint']) expect(names).not.toContain(name)
      }
    },
    PATIENCE_MS,
  )

  it.each(['embargoed', 'sealed'])('denies what is %s', async (item) => {
    const { status, body } = await ask(`http://${published}/`, item, watch)
    expect(status).toBeGreaterThanOrEqual(400)
    expect(codeOf(body)).toBe('ERR_KEST_DENIED')
  })

  it.each(RUNNING)('%s has no privileges, as it runs, and writes where it says so alone', (service) => {
    const { user, group = user, writable } = CONFINED[service] as Confined
    expect(confinementOf(pidOf(service))).toEqual({
      users: Array(4).fill(String(user)),
      groups: Array(4).fill(String(group)),
      capabilities: Array(5).fill('0000000000000000'),
      noNewPrivileges: true,
      isFiltered: true,
      writable,
      mostProcesses: '256',
      hasWayOut: service === 'hop1',
    })
    const { Privileged, PortBindings } = (inspected[service] as Inspected).HostConfig
    expect(Privileged).toBe(false)
    expect(Object.entries(PortBindings ?? {})).toEqual(
      service === 'hop1' ? [['8000/tcp', [{ HostIp: '127.0.0.1', HostPort: published.split(':')[1] }]]] : [],
    )
  })

  it.each(RUNNING)(
    '%s reaches those on its networks, and nobody else',
    async (service) => {
      const addresses = Object.entries(LISTEN).flatMap(([name, port]) =>
        Object.values(inspected[name]?.NetworkSettings.Networks ?? {}).map(
          ({ IPAddress }): [string, string] => [`${IPAddress}:${port}`, name],
        ),
      )
      const reached = await reachedFrom(pidOf(service), [...new Map(addresses).keys()])
      const names = reached.map((address) => new Map(addresses).get(address))
      expect(Object.keys(LISTEN).filter((name) => names.includes(name))).toEqual(
        Object.keys(LISTEN).filter((name) => REACHED[service]?.includes(name)),
      )
    },
    PATIENCE_MS,
  )

  it.each(RUNNING)(
    '%s is given no secret, by its environment or its image',
    async (service) => {
      const environment = readFileSync(`/proc/${pidOf(service)}/environ`, 'utf8').split('\0')
      expect(environment.filter((text) => /PRIVATE KEY|Bearer |PASSW|SECRET|CREDENTIAL/i.test(text))).toEqual(
        [],
      )
      expect(environment.filter((text) => /^[^=]*TOKEN[^=]*=./.test(text))).toEqual([])
      const history = await containers.docker(
        'history',
        '--no-trunc',
        '--format',
        '{{.CreatedBy}}',
        inspected[service]?.Image ?? '',
      )
      expect(lines(history).filter((text) => /TOKEN|PASSW|SECRET/i.test(text))).toEqual([])
      if (!CHAIN.some((name) => name === service)) return
      const keys = ['-rlPz', '-e', String.raw`-----BEGIN [A-Z ]*PRIVATE KEY-----(\\n|\s)+[\w+/=]{40}`, '.']
      const found = promisify(execFile)('grep', keys, { cwd: `/proc/${pidOf(service)}/root/srv/kest` })
      // Of grep: nothing is found.
      await expect(found).rejects.toMatchObject({ code: 1, stderr: '' })
    },
    PATIENCE_MS,
  )

  it(
    'follows a policy that is changed',
    () =>
      endure('policy', async (load) => {
        const changed = performance.now()
        const change = await rewrite(
          join(folder, 'docker/opa/hop1.rego'),
          () => 'package hop1\n\ndefault users_may_start := false\n',
        )
        await load.untilSeen('ERR_KEST_DENIED', changed, LATE_MS)
        await change()
      }),
    PATIENCE_MS,
  )

  it(
    'follows a deployment file that is changed, and none that is wrong',
    () =>
      endure('deployment', async (load) => {
        const file = join(folder, 'docker/kest/deployment.yaml')
        const changed = performance.now()
        const change = await rewrite(file, (text) => text.replace('/hop1', '/nobody'))
        await load.untilSeen('ERR_KEST_ROOT', changed, LATE_MS)
        await change()
        await load.untilWell(WELL, LATE_MS)
        const mend = await rewrite(file, (text) => `${text}\nrootPolicy: refuse\n`)
        await containers.shell(
          `until docker logs kest_hop1_1 2>&1 | grep -q 'the deployment file is broken'; do sleep 0.5; done`,
        )
        await load.untilWell(WELL, LATE_MS)
        await mend()
      }),
    PATIENCE_MS,
  )

  it.each([...RUNNING].reverse())(
    'under load, answers the whole chain or says by a code what it could not while %s is killed, and answers again',
    async (service) => {
      await endure(service, async (load) => {
        const killed = performance.now()
        await containers.kill(service)
        const asked = (): boolean => load.outcomes.filter(({ begun }) => begun > killed).length >= 20
        await load.untilTrue('twenty have asked', asked, LATE_MS)
        await containers.start(service)
      })
    },
    PATIENCE_MS,
  )

  it(
    'answers nothing while the volume of the Collector is full, and goes on when there is room',
    async () => {
      const volume = await containers.docker('volume', 'inspect', '--format', '{{.Mountpoint}}', 'kest_spans')
      const spans = join(folder, 'spans.jsonl')
      await containers.kill('collector')
      await cp(join(volume, 'spans.jsonl'), spans)
      await containers.shell(`mount -t tmpfs -o size=256m tmpfs '${volume}' && cp spans.jsonl '${volume}/'`)
      await containers.start('collector')
      await endure('full', async (load) => {
        const full = performance.now()
        await containers.shell(`! dd if=/dev/zero of='${volume}/filler' bs=64k 2>/dev/null`)
        await load.untilSeen('ERR_KEST_AUDIT_UNAVAILABLE', full, LATE_MS)
        await rm(join(volume, 'filler'))
      })
      await containers.kill('collector')
      await cp(join(volume, 'spans.jsonl'), spans)
      await containers.shell(`umount '${volume}' && cp spans.jsonl '${volume}/'`)
      await containers.start('collector')
    },
    PATIENCE_MS,
  )

  it(
    'goes on by mTLS between hops, where nobody is let in who shows no SVID',
    async () => {
      await containers.shell(commands('docker compose -f docker/compose.yaml -f docker/compose.mtls.yaml'))
      await untilListens()
      await endure('mtls', async () => {})
      const { State } = await containers.inspect('hop1')
      const [address] = Object.values((await containers.inspect('hop2')).NetworkSettings.Networks ?? {})
      const at = `${address?.IPAddress}:8000`
      const isWell = () => containers.shell('docker exec kest_hop2_1 node dist/services/healthcheck.js')
      await until(isWell, { timeoutMs: LATE_MS, late: () => 'hop2 is not well' }, watch)
      expect(await reachedFrom(State.Pid, [at])).toEqual([at])
      expect(await isAnswered(State.Pid, `http://${at}/health`)).toBe(false)
      expect(await isAnswered(State.Pid, `https://${at}/health`)).toBe(false)
    },
    PATIENCE_MS,
  )

  it(
    'has lost nothing that was answered, is proven, and was signed by SVIDs that were renewed',
    async () => {
      await containers.shell(
        commands('docker compose -f docker/compose.yaml cp').split('\nnpx ')[0] as string,
      )
      const bundle: unknown = JSON.parse(await readFile(join(folder, 'bundle.json'), 'utf8'))
      const { traces, summary } = await auditSpans(join(folder, 'spans.jsonl'), bundle, () => true)
      const complete = traces.filter(isComplete)
      const proven = new Set(complete.map(itemOf))
      expect(answered.length).toBeGreaterThan(WELL * RUNNING.length)
      expect(answered.filter((item) => !proven.has(item))).toEqual([])
      expect(summary.verdicts.broken).toBe(0)
      for (const [i, name] of CHAIN.entries()) {
        const leaves = new Set(complete.map(({ entries }) => leafOf(entries[i]?.jws ?? '')))
        expect(leaves.size, name).toBeGreaterThan(1)
        console.log(`${name}: ${leaves.size} SVIDs`)
      }
      console.log(
        `${answered.length} answered, ${complete.length} complete, ${JSON.stringify(Object.fromEntries(summary.findings))}`,
      )
    },
    PATIENCE_MS,
  )

  it(
    'leaves nothing behind',
    async () => {
      await containers.compose('down --volumes')
      expect(await containers.all()).toEqual([])
      const left = await Promise.all([
        containers.docker('volume', 'ls', '--quiet'),
        containers.docker('network', 'ls', '--format', '{{.Name}}'),
      ])
      expect(left.flatMap(lines).filter((name) => name.startsWith('kest'))).toEqual([])
      // Other engines of this machine have what they have.
      const storage = (await containers.docker('info', '--format', '{{.Store.GraphRoot}}')).trim()
      expect(storage).toMatch(/^\//)
      expect(readFileSync('/proc/mounts', 'utf8')).not.toContain(` ${storage}/volumes/kest_`)
    },
    PATIENCE_MS,
  )
})

function countBy(names: readonly string[]): Readonly<Record<string, number>> {
  const counts: Record<string, number> = {}
  for (const name of names) counts[name] = (counts[name] ?? 0) + 1
  return counts
}
