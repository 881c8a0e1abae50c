import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { afterAll, afterEach, beforeAll, expect, it, vi } from 'vitest'
import { createKest, type Kest } from '../packages/core/dist/index.js'
import { RecordingLogger } from '../packages/core/dist/testing/index.js'
import { kestFastify } from '../packages/fastify/dist/index.js'
import { RegoWasmEngine } from '../packages/opa/dist/index.js'
import { createDevAuthority, type DevAuthority } from '../packages/spiffe/dist/dev-authority/index.js'
import { createX509KeySource, SPIREProvider } from '../packages/spiffe/dist/index.js'
import { setupTelemetry, type Telemetry } from '../packages/telemetry/dist/index.js'
import { createKestFetch } from '../packages/undici/dist/index.js'
import { packageManagerEnv, root } from '../scripts/workspace.mjs'
import { snippetsOf } from './readmes/snippets.js'
import { run, SCRIPT } from './support/run.js'

const { fastify } = createRequire(new URL('../packages/fastify/package.json', import.meta.url))('fastify')
const PAGE = 'docs/rollout.md'
const REQUESTS = Number(process.env['KEST_ROLLOUT_REQUESTS'] ?? 12)
const AT_ONCE = 3
const HOPS = ['hop1', 'hop2', 'hop3'] as const
type Hop = (typeof HOPS)[number]
const POLICY = {
  hop1: 'hop1/users_may_start',
  hop2: 'hop2/from_hop1',
  hop3: 'hop3/from_hop1_by_hop2',
} as const

/** What serves, and how it ends: when what is under way is answered. */
interface Serving {
  readonly url: string
  close(): Promise<void>
}

interface Kept {
  readonly kest: Kest
  readonly logger: RecordingLogger
  readonly telemetry: Telemetry
  readonly identity: SPIREProvider
  readonly engine: RegoWasmEngine
}

let folder: string
let authority: DevAuthority
const open: { close(): Promise<void> }[] = []
/** Where each hop sends what it asks, as a load balancer has it. */
const next: Record<'hop1' | 'hop2', string> = { hop1: '', hop2: '' }

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'kest-rollout-'))
  const bin = join(folder, 'bin')
  mkdirSync(bin)
  symlinkSync(join(root, 'packages/cli/bin/kest.js'), join(bin, 'kest'))
  const [observing, enforcing] = snippetsOf(PAGE).filter(({ language }) => language === 'yaml')
  // Of the reader's day, at most 90 ahead.
  const expires = new Date(Date.now() + 30 * 86_400_000).toISOString()
  const observed = (observing?.text ?? '').replaceAll('2030-01-31T00:00:00Z', expires)
  writeFileSync(join(folder, 'observing.yaml'), observed)
  writeFileSync(join(folder, 'enforcing.yaml'), enforcing?.text ?? '')
  const workloads = Object.fromEntries(HOPS.map((name) => [name, {}]))
  authority = await createDevAuthority({ trustDomain: 'example.org', workloads, socketDirectory: folder })
  const trust = { bundles: { 'example.org': authority.bundle() } }
  writeFileSync(join(folder, 'trust.json'), JSON.stringify(trust))
})

afterEach(() => vi.unstubAllEnvs())
afterAll(async () => {
  for (const one of open.reverse()) await one.close()
  await authority.close()
  await rm(folder, { recursive: true })
})

/** Runs the commands of a section, or one of its blocks, as printed: what they print. */
async function command(section: string, block?: number): Promise<string> {
  const blocks = snippetsOf(PAGE).filter((one) => one.language === 'sh' && one.section === section)
  const chosen = block === undefined ? blocks : blocks.slice(block, block + 1)
  expect(chosen.length).toBeGreaterThan(0)
  for (const { line } of chosen) ran.add(line)
  const env = {
    ...packageManagerEnv(),
    PATH: [join(folder, 'bin'), process.env['PATH']].join(delimiter),
    SPIFFE_ENDPOINT_SOCKET: authority.sockets['hop1'],
  }
  const script = chosen.map(({ text }) => text).join('\n')
  return await run('bash', [...SCRIPT, script], folder, env)
}

/** Lines of blocks that were run. */
const ran = new Set<number>()

/** Kest of a hop, by its own deployment file; its spans lie in a folder of the step. */
async function kestOf(name: Hop, step: string): Promise<Kept> {
  const identity = await SPIREProvider.connect({ address: authority.sockets[name] as string })
  const engine = await RegoWasmEngine.load(join(root, 'examples/three-hop/policies/policy.wasm'), {
    reloadMs: 0,
  })
  const logger = new RecordingLogger()
  const endpoint = join(folder, 'spans', step, name)
  mkdirSync(endpoint, { recursive: true })
  const telemetry = setupTelemetry({
    serviceName: name,
    exporter: 'file',
    endpoint,
    confirm: true,
    waitTimeoutMs: 60_000,
    logger,
  })
  vi.stubEnv('KEST_CONFIG', join(folder, `${name}.yaml`))
  const trust = createX509KeySource(identity.source)
  const kest = createKest({ identity, engine, trust, telemetry, logger, policyTimeoutMs: 60_000 })
  vi.unstubAllEnvs()
  return { kest, logger, telemetry, identity, engine }
}

async function serve(
  name: Hop,
  kept: Kept | null,
  ask: ((baggage: string | undefined) => Promise<unknown>) | null,
): Promise<Serving> {
  const app = fastify({ forceCloseConnections: 'idle' })
  const protect = kept === null ? {} : { config: { kest: { policy: POLICY[name] } } }
  const edge = name === 'hop1' ? { origin: 'user_input' } : {}
  if (kept !== null) await app.register(kestFastify, { kest: kept.kest, exclude: ['/health'], ...edge })
  app.get('/health', async () => 'ok')
  app.get('/', protect, async ({ headers }: { headers: Record<string, string> }) => {
    return { name, next: ask === null ? null : await ask(headers['baggage']) }
  })
  const url: string = await app.listen({ host: '127.0.0.1', port: 0 })
  const serving = {
    url,
    async close() {
      await app.close()
      await kept?.kest.close()
      await kept?.telemetry.shutdown()
      kept?.identity.close()
      kept?.engine.close()
    },
  }
  return serving
}

const everywhere = (url: URL): boolean => url.hostname === '127.0.0.1'

/** A hop with Kest: what it asks carries the passport. */
async function hop(name: Hop, step: string): Promise<Serving & Kept> {
  const kept = await kestOf(name, step)
  const call = createKestFetch({ kest: kept.kest, propagateTo: everywhere })
  const ask = name === 'hop3' ? null : async () => answerOf(await call(next[name]))
  return { ...(await serve(name, kept, ask)), ...kept }
}

/** hop2 as it was before. */
async function without(kind: 'dropped' | 'forwarded'): Promise<Serving> {
  return await serve('hop2', null, async (baggage) => {
    const headers = kind === 'forwarded' && baggage !== undefined ? { baggage } : {}
    return answerOf(await fetch(next.hop2, { headers }))
  })
}

async function answerOf(response: Response): Promise<unknown> {
  const body: unknown = await response.json()
  if (response.status === 200) return body
  throw new Error(`${response.status} ${JSON.stringify(body)}`)
}

const WHOLE = { name: 'hop1', next: { name: 'hop2', next: { name: 'hop3', next: null } } }

/** Requests of users through the chain, some at once; `during` happens when half of them were made. None may fail. */
async function load(edge: string, during: () => Promise<void> = async () => {}): Promise<void> {
  let made = 0
  let happening: Promise<void> | undefined
  const user = async (): Promise<void> => {
    while (made++ < REQUESTS) {
      if (made > REQUESTS / 2) happening ??= during()
      expect(await answerOf(await fetch(edge))).toEqual(WHOLE)
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, user))
  await happening
  // What happened under load holds after it.
  expect(await answerOf(await fetch(edge))).toEqual(WHOLE)
}

/** Until a hop has taken its file; users go on meanwhile. */
async function reloaded({ logger }: Kept, edge: string, times: number): Promise<void> {
  const loads = () =>
    logger.records.filter(({ message }) => message === 'the deployment file was loaded again')
  await expect
    .poll(
      async () => {
        expect(await answerOf(await fetch(edge))).toEqual(WHOLE)
        return loads().length
      },
      { interval: 100 },
    )
    .toBe(times)
}

async function codeOf(url: string): Promise<unknown> {
  const response = await fetch(url)
  return response.status === 200 ? 200 : ((await response.json()) as { code: unknown }).code
}

/** Rows of `kest audit --observed`: those of a policy or of lineage, of a hop. */
function rowOf(printed: string, name: Hop, what: string): string {
  const part = printed.split('\n\n').find((one) => one.includes(`spiffe://example.org/${name}\n`)) ?? ''
  return part.split('\n').find((line) => line.trim().startsWith(what)) ?? ''
}

it('K-OBSERVE a fleet is rolled out by the guide alone, under load, without a failed request: a hop without Kest, then observing, then enforced, and back', {
  timeout: 600_000,
}, async () => {
  expect(await command('Identities first')).toMatch(/identity +spiffe:\/\/example\.org\/hop1/)
  await command('Record, and refuse nothing')

  // Edges, then leaves: hop2 has no Kest yet. Each way of its own has records of its own.
  for (const kind of ['dropped', 'forwarded'] as const) {
    const hops = [await hop('hop1', kind), await without(kind), await hop('hop3', kind)] as const
    next.hop1 = hops[1].url
    next.hop2 = hops[2].url
    await load(hops[0].url)
    expect(await codeOf(`${hops[2].url}/health`)).toBe(200)
    for (const one of hops) await one.close()
  }
  const dropped = await command('Look', 0)
  expect(rowOf(dropped, 'hop3', 'lineage')).toMatch(
    new RegExp(`\\| ${REQUESTS + 1} ERR_KEST_LINEAGE_MISSING +\\| ${REQUESTS + 1} nobody known `),
  )
  expect(dropped).toContain(`${2 * (REQUESTS + 1)} traces: ${2 * (REQUESTS + 1)} verified`)
  const forwarded = await command('Look', 1)
  expect(forwarded).toContain(`${REQUESTS + 1} traces: ${REQUESTS + 1} verified`)
  expect(rowOf(forwarded, 'hop3', 'function')).toMatch(
    new RegExp(`\\| ${REQUESTS + 1} ERR_KEST_DENIED +\\| ${REQUESTS + 1} spiffe://example.org/hop1 `),
  )

  // Between: hop2 is replaced while it has traffic.
  const [edge, leaf] = [await hop('hop1', 'joining'), await hop('hop3', 'joining')]
  open.push(edge, leaf)
  const before = await without('dropped')
  next.hop1 = before.url
  next.hop2 = leaf.url
  const between = await hop('hop2', 'joining')
  open.push(between)
  await load(edge.url, async () => {
    next.hop1 = between.url
  })
  // As a balancer does: it ends when nothing is under way to it any more.
  await before.close()

  // Then all of them record together, and nothing would be refused.
  const joined = [
    await hop('hop1', 'joined'),
    await hop('hop2', 'joined'),
    await hop('hop3', 'joined'),
  ] as const
  next.hop1 = joined[1].url
  next.hop2 = joined[2].url
  await load(joined[0].url)
  for (const one of joined) await one.close()
  const whole = await command('Look', 2)
  for (const name of HOPS)
    expect(rowOf(whole, name, 'function')).toMatch(
      new RegExp(`\\| ${REQUESTS + 1} +\\| 0 .*no: too few days`),
    )
  expect(await command('Look', 3)).toContain(`${REQUESTS + 1} verified`)

  // Enforced, one after the other, under load.
  next.hop1 = between.url
  next.hop2 = leaf.url
  expect(await codeOf(leaf.url)).toBe(200)
  for (const [i, one] of [edge, leaf, between].entries())
    await load(edge.url, async () => {
      await command('Enforce, hop by hop', i)
      await reloaded(one, edge.url, 1)
    })
  expect([await codeOf(leaf.url), await codeOf(between.url)]).toEqual([
    'ERR_KEST_LINEAGE_MISSING',
    'ERR_KEST_LINEAGE_MISSING',
  ])
  expect(await codeOf(`${leaf.url}/health`)).toBe(200)
  // What stands between without Kest is refused now, either way.
  for (const [kind, code] of [
    ['dropped', 'ERR_KEST_LINEAGE_MISSING'],
    ['forwarded', 'ERR_KEST_DENIED'],
  ] as const) {
    const old = await without(kind)
    next.hop1 = old.url
    const response = await fetch(edge.url)
    expect([response.status, await response.text()]).toEqual([500, expect.stringContaining(code)])
    await old.close()
  }
  next.hop1 = between.url

  // And back.
  await load(edge.url, async () => {
    await command('Rolling back')
    await reloaded(leaf, edge.url, 2)
  })
  expect([await codeOf(leaf.url), await codeOf(between.url)]).toEqual([200, 'ERR_KEST_LINEAGE_MISSING'])

  const commands = snippetsOf(PAGE).filter(({ language }) => language === 'sh')
  expect(commands.filter(({ line }) => !ran.has(line))).toEqual([])
})
