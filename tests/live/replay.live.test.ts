import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, it, onTestFinished } from 'vitest'
import { Ports } from '../../lab/dist/supervisor/ports.js'
import { Audit, PolicyReplay, readEntries } from '../../packages/audit/dist/index.js'
import { CedarReplay, CedarWasmEngine } from '../../packages/cedar/dist/index.js'
import {
  createKest,
  createKeySource,
  type Operation,
  type PolicyEngine,
  type ReplayText,
} from '../../packages/core/dist/index.js'
import { MockIdentityProvider, RecordingLogger } from '../../packages/core/dist/testing/index.js'
import { OPAPolicyEngine, RegoReplay, RegoWasmEngine } from '../../packages/opa/dist/index.js'
import { temporary } from '../support/begun-service.js'

const LIBRARY = fileURLToPath(new URL('../../packages/opa/policies', import.meta.url))
/** As many as a day of a small service has. */
const DECISIONS = 10_000
const POLICIES = [
  'kest/minimum_trust',
  'kest/forbidden_taints',
  'kest/no_write_down',
  'kest/integrity',
] as const
const CEDAR = (least: number): string => `
permit(principal, action, resource) when { context.trust_score >= ${least} };
forbid(principal, action, resource) when { context.taints.contains("malware") };`

const identities = ['gateway', 'orders'].map((name) => new MockIdentityProvider(name))
const trust = createKeySource(
  new Map(identities.map((one) => [one.getWorkloadId(), [one.getPublicJwk()]] as const)),
)

/** The library with its parameters, as `opa build` makes it, with one of them as it is told. */
async function build(folder: string, score: number, revision: string, target = 'wasm'): Promise<string> {
  const data = join(folder, `data-${score}`)
  const classifications = Object.fromEntries(
    ['system', 'confidential'].map((name) => [name, { trust: 0, taints: ['pii'] }]),
  )
  const parameters = {
    minimum_trust: { score },
    forbidden_taints: { taints: ['malware'] },
    confidentiality: { levels: ['public', 'system', 'confidential'], clearances: {} },
    integrity: { classifications },
  }
  await mkdir(data, { recursive: true })
  await writeFile(join(data, 'data.json'), JSON.stringify({ kest: { parameters } }))
  const sources = (await readdir(LIBRARY)).filter(
    (name) => name.endsWith('.rego') && !name.endsWith('_test.rego'),
  )
  const bundle = join(folder, `${target}-${score}-${revision}.tar.gz`)
  const args = ['build', '-t', target, '--revision', revision, '-o', bundle]
  await promisify(execFile)('opa', [
    ...args,
    ...sources.map((name) => join(LIBRARY, name)),
    join(data, 'data.json'),
  ])
  return bundle
}

async function startOpa(bundle: string): Promise<OPAPolicyEngine> {
  const port = await freePort()
  const opa = spawn(
    'opa',
    ['run', '--server', '--skip-version-check', `--addr=127.0.0.1:${port}`, '-b', bundle],
    {
      stdio: 'ignore',
    },
  )
  onTestFinished(async () => {
    const ended = once(opa, 'exit')
    if (opa.kill('SIGKILL')) await ended
  })
  const engine = new OPAPolicyEngine({ url: `http://127.0.0.1:${port}`, timeoutMs: 60_000 })
  onTestFinished(() => engine.close())
  const isUp = () =>
    engine.health().then(
      () => true,
      () => false,
    )
  await expect.poll(isUp, { timeout: 60_000 }).toBe(true)
  return engine
}

async function freePort(): Promise<number> {
  const ports = await Ports.reserve(1)
  onTestFinished(() => ports[Symbol.asyncDispose]())
  return ports.take()
}

/** Two services that call each other, of which each decision is on record. */
async function record(engine: PolicyEngine, decisions: number): Promise<Operation[]> {
  const kests = identities.map((identity) =>
    createKest({ identity, engine, trust, policyTimeoutMs: 60_000, logger: new RecordingLogger() }),
  )
  const operations: Operation[] = []
  for (let n = 0; operations.length < decisions; n++) {
    const policyOf = (i: number) => POLICIES[(n + i) % POLICIES.length] as string
    const first = await kests[0]?.begin(
      {
        operation: `GET /${n % 9}`,
        policy: policyOf(0),
        origin: n % 2 === 0 ? 'user_input' : 'system',
        user: `user-${n % 11}`,
        resource: { id: `order-${n}`, attributes: { owner: `user-${n % 3}`, n } },
        ...(n % 3 === 0 && { addedTaints: ['pii'] }),
      },
      { state: null },
    )
    if (first === undefined) throw new Error('there is no gateway')
    const state = await kests[1]?.resume(
      { passport: first.passport },
      { identityAuthorities: [identities[0]?.getWorkloadId() as string] },
    )
    const second = await kests[1]?.begin(
      {
        operation: 'orders.load',
        policy: [policyOf(1), policyOf(2)],
        classification: n % 2 === 0 ? 'confidential' : 'system',
      },
      { state: state ?? null },
    )
    operations.push(first, second as Operation)
  }
  return operations
}

async function replayOf(operations: readonly Operation[], texts: readonly ReplayText[]) {
  const replay = new PolicyReplay({ texts })
  await using audit = new Audit({ trust, replay })
  await audit.read(
    readEntries(
      operations.map(({ entry }) => entry.jws),
      'memory',
    ),
  )
  const mismatches = new Set<string | null>()
  for await (const { findings } of audit.traces())
    for (const { code, entryHash } of findings) if (code === 'policy-mismatch') mismatches.add(entryHash)
  return { summary: replay.summary(), mismatches }
}

function concernedBy(
  operations: readonly Operation[],
  least: number,
  policies: readonly string[],
): Set<string> {
  return new Set(
    operations
      .filter(
        ({ entry: { entry, trustScore } }) =>
          trustScore < least &&
          entry.policy_context.function_policies.some((name) => policies.includes(name)),
      )
      .map(({ entry }) => entry.hash),
  )
}

it(`K-REPLAY ${DECISIONS} decisions of the library match by a real OPA, by name, and where a rule is another exactly those do not`, async () => {
  const folder = await temporary()
  const bundle = await build(folder, 1, 'v1')
  // The same sources under the same name: an OPA without a WebAssembly engine does not start with the other.
  const served = await build(folder, 1, 'v1', 'rego')
  const operations = await record(await startOpa(served), DECISIONS)
  expect(operations[0]?.entry.entry.labels['kest.revisions']).toMatch(
    /^\{"function":\["opa:bundle:.*@v1"\]\}$/,
  )
  expect((await replayOf(operations, [await RegoReplay.load(bundle)])).summary).toEqual({
    match: 0,
    matchByName: DECISIONS,
    mismatch: 0,
    unverifiable: new Map(),
  })
  const other = await build(folder, 50, 'v1')
  const { mismatches } = await replayOf(operations, [await RegoReplay.load(other)])
  expect(mismatches).toEqual(concernedBy(operations, 50, ['kest/minimum_trust']))
  expect(mismatches.size).toBeGreaterThan(DECISIONS / 100)
})

it(`K-REPLAY ${DECISIONS} decisions match by both engines in process`, async () => {
  const bundle = await build(await temporary(), 1, 'v1')
  for (const [engine, text] of [
    [await RegoWasmEngine.load(await readFile(bundle)), await RegoReplay.load(bundle)],
    [await CedarWasmEngine.load({ policies: CEDAR(1) }), await CedarReplay.load({ policies: CEDAR(1) })],
  ] as const) {
    const { summary } = await replayOf(await record(engine, DECISIONS), [text])
    expect(summary).toEqual({ match: DECISIONS, matchByName: 0, mismatch: 0, unverifiable: new Map() })
  }
})

it('the authorization of docker/opa lets an OPA say which bundle decided, and nothing else', async () => {
  const authz = fileURLToPath(new URL('../../docker/opa/authz.rego', import.meta.url))
  const port = await freePort()
  const args = [
    'run',
    '--server',
    '--skip-version-check',
    `--addr=127.0.0.1:${port}`,
    '--authorization=basic',
    authz,
  ]
  const opa = spawn('opa', args, { stdio: 'ignore' })
  onTestFinished(async () => {
    const ended = once(opa, 'exit')
    if (opa.kill('SIGKILL')) await ended
  })
  const ask = async (query: string): Promise<number> => {
    const url = `http://127.0.0.1:${port}/v1/data/orders/read${query}`
    return (await fetch(url, { method: 'POST', body: '{"input":{}}' })).status
  }
  const statusOf = (query: string) => ask(query).catch(() => 0)
  await expect.poll(() => statusOf(''), { timeout: 60_000 }).toBe(200)
  expect(await ask('?provenance=true')).toBe(200)
  for (const query of [
    '?explain=full',
    '?provenance=true&explain=full',
    '?provenance=true&provenance=true',
    '?provenance=false',
    '?instrument',
  ])
    expect([query, await ask(query)]).toEqual([query, 401])
})
