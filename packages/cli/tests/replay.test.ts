import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Audit, type AuditOptions, PolicyReplay, readFiles, type TraceReport } from '@kest/audit'
import { CedarReplay, CedarWasmEngine } from '@kest/cedar'
import {
  cacheDecisions,
  type IgnorableField,
  type KestOptions,
  MemoryPseudonymKeys,
  type PolicyEngine,
  type PolicyRequest,
  type ReplayText,
} from '@kest/core'
import { policyLibrary, RegoReplay, RegoWasmEngine } from '@kest/opa'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import type { Command } from '../src/command.js'
import { audit } from '../src/commands/audit.js'
import { replay } from '../src/commands/replay.js'
import { folder, kest, lines } from './support/kest.js'
import { KEYS, Recorded, recordTraffic, trust } from './support/recorded.js'
import { tarOf } from './support/tar.js'
import { runWithin } from './support/within.js'

/** Those of the library that read nothing but their question. */
const POLICIES = ['kest/minimum_trust', 'kest/forbidden_taints', 'kest/no_write_down', 'kest/integrity']
const parametersOf = (score: number) => ({
  minimum_trust: { score },
  forbidden_taints: { taints: ['malware'] },
  confidentiality: { levels: ['public', 'system', 'confidential'], clearances: {} },
  integrity: {
    classifications: { system: { trust: 0, taints: [] }, confidential: { trust: 0, taints: [] } },
  },
  business_hours: {
    from: 0,
    to: 24,
    days: ['Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday', 'Sunday'],
  },
})
const dataOf = (score = 1) => ({ kest: { parameters: parametersOf(score) } })

const engineOf = (score?: number) =>
  RegoWasmEngine.load(policyLibrary(), { data: dataOf(score), reloadMs: 0 })
const textOf = (score?: number) => RegoReplay.load(policyLibrary(), { data: dataOf(score) })

const CEDAR = (least: number) => `
@id("trust") permit(principal, action, resource) when { context.trust_score >= ${least} };
@id("taints") forbid(principal, action, resource) when { context.taints.contains("malware") };
@id("depth") forbid(principal, action == Action::"kest/integrity", resource) when { context.lineage.depth > 9 };`

/** A bundle as `opa build -t wasm --revision` writes it. */
async function bundle(score: number, revision: string): Promise<Uint8Array> {
  return tarOf({
    '/policy.wasm': await readFile(policyLibrary()),
    '/data.json': JSON.stringify(dataOf(score)),
    '/.manifest': JSON.stringify({ revision, roots: [''] }),
  })
}

/** Decides as one engine, and says that another text has. */
function claiming(engine: PolicyEngine, revision: string | readonly string[]): PolicyEngine {
  return {
    evaluate: async (request, options) => {
      const decision = await engine.evaluate(request, options)
      return typeof decision === 'object' ? { ...decision, revision } : { allow: decision, revision }
    },
  }
}

interface Replayed {
  readonly traces: readonly TraceReport[]
  readonly summary: ReturnType<PolicyReplay['summary']>
  /** Hashes of entries, by finding. */
  readonly found: ReadonlyMap<string, ReadonlySet<string | null>>
  readonly messages: readonly string[]
}

async function replayOf(
  recorded: Recorded,
  texts: readonly ReplayText[],
  options: ConstructorParameters<typeof PolicyReplay>[0] & { readonly audit?: Partial<AuditOptions> } = {},
): Promise<Replayed> {
  const { audit: more, ...others } = options
  const cwd = await folder({ 'spans.jsonl': recorded.spans })
  const replay = new PolicyReplay({ texts, ...others })
  await using audit = new Audit({ trust, replay, ...more })
  await audit.read(readFiles([join(cwd, 'spans.jsonl')]))
  const traces: TraceReport[] = []
  for await (const one of audit.traces()) traces.push(one)
  const findings = [...traces.flatMap((one) => one.findings), ...audit.summary().general].filter(
    ({ code }) => code.startsWith('policy') || code.startsWith('revision'),
  )
  const found = new Map<string, Set<string | null>>()
  for (const { code, entryHash } of findings) found.set(code, (found.get(code) ?? new Set()).add(entryHash))
  return { traces, summary: replay.summary(), found, messages: findings.map(({ message }) => message) }
}

/** A deployment file, for this test. */
function deploy(text: string): void {
  const path = mkdtempSync(join(tmpdir(), 'kest-replay-'))
  writeFileSync(join(path, 'kest.yaml'), text)
  vi.stubEnv('KEST_CONFIG', join(path, 'kest.yaml'))
  onTestFinished(() => {
    vi.unstubAllEnvs()
    rmSync(path, { recursive: true, force: true })
  })
}

const OBSERVE = (policy: string): string =>
  `observe: [{ what: policy, policies: ["${policy}"], scope: { all: true }, reason: r, approver: a, expires: "${new Date(Date.now() + 86_400_000).toISOString()}" }]`

async function signed(
  engine: PolicyEngine,
  options: KestOptions = {},
  policy: string | readonly [string, ...string[]] = 'kest/minimum_trust',
): Promise<Recorded> {
  const recorded = new Recorded(engine, options)
  await recorded.begin('gateway', { operation: 'read', policy, origin: 'system', user: 'alice' })
  return recorded
}

describe('decisions that are asked again', () => {
  it('K-REPLAY all match that Rego in process has decided', async () => {
    deploy('policies: { enterprise: [kest/forbidden_taints], platform: [kest/minimum_trust] }')
    const recorded = new Recorded(await engineOf())
    await recordTraffic(recorded, 30, POLICIES)
    const { summary, found, messages } = await replayOf(recorded, [await textOf()])
    expect(messages).toEqual([])
    expect(summary).toEqual({
      match: recorded.operations.length,
      matchByName: 0,
      mismatch: 0,
      unverifiable: new Map(),
    })
    expect(recorded.operations.length).toBeGreaterThan(50)
    expect(found.size).toBe(0)
  })

  it('K-REPLAY all match that Cedar in process has decided', async () => {
    deploy('policies: { application: [acme/any] }')
    const recorded = new Recorded(await CedarWasmEngine.load({ policies: CEDAR(1) }))
    await recordTraffic(recorded, 20, POLICIES)
    const { summary, messages } = await replayOf(recorded, [await CedarReplay.load({ policies: CEDAR(1) })])
    expect(messages).toEqual([])
    expect(summary).toMatchObject({ match: recorded.operations.length, mismatch: 0 })
  })

  it('K-REPLAY by name they match by name, and where a rule is another, exactly those that it concerns do not', async () => {
    const recorded = new Recorded(claiming(await engineOf(1), 'opa:bundle:main@v1'))
    await recordTraffic(recorded, 30, POLICIES)
    const same = await replayOf(recorded, [await RegoReplay.load(await bundle(1, 'v1'))])
    expect(same.summary).toMatchObject({ matchByName: recorded.operations.length, match: 0, mismatch: 0 })
    const other = await replayOf(recorded, [await RegoReplay.load(await bundle(50, 'v1'))])
    const concerned = recorded.operations.filter(
      ({ entry: { trustScore, entry } }) =>
        trustScore < 50 && entry.policy_context.function_policies.includes('kest/minimum_trust'),
    )
    expect(concerned.length).toBeGreaterThan(5)
    expect(other.found).toEqual(
      new Map([['policy-mismatch', new Set(concerned.map(({ entry }) => entry.hash))]]),
    )
    expect(other.summary).toMatchObject({
      mismatch: concerned.length,
      matchByName: recorded.operations.length - concerned.length,
    })
    expect(other.messages[0]).toMatch(
      /^function: kest\/minimum_trust denies \(.*at least 50.*\), by opa:bundle:main@v1, which is a name$/,
    )
  })

  it('K-REPLAY whoever signs what the text that it names denies is found', async () => {
    for (const [loose, strict] of [
      [await engineOf(1), await textOf(50)],
      [await CedarWasmEngine.load({ policies: CEDAR(1) }), await CedarReplay.load({ policies: CEDAR(50) })],
    ] as const) {
      const recorded = new Recorded(claiming(loose, strict.revision))
      await recordTraffic(recorded, 10, ['kest/minimum_trust'])
      const { found, summary } = await replayOf(recorded, [strict])
      const concerned = recorded.operations.filter(({ entry }) => entry.trustScore < 50)
      expect(found).toEqual(new Map([['policy-mismatch', new Set(concerned.map(({ entry }) => entry.hash))]]))
      expect(summary).toMatchObject({ match: recorded.operations.length - concerned.length })
    }
  })

  it('K-REPLAY a denial that was observed is expected to deny', async () => {
    deploy(`policies: { platform: [kest/minimum_trust] }\n${OBSERVE('kest/minimum_trust')}`)
    const engine = await engineOf(101)
    const ask = () => signed(engine, {}, ['kest/integrity', 'kest/no_write_down'])
    const honest = await ask()
    expect(honest.operations[0]?.entry.entry.policy_context.deviations).toHaveLength(1)
    expect((await replayOf(honest, [await textOf(101)])).summary).toMatchObject({ match: 1 })
    const lied = await signed(claiming(engine, (await textOf(1)).revision), {}, 'kest/integrity')
    const { found, messages } = await replayOf(lied, [await textOf(1)])
    expect([...found.keys()]).toEqual(['policy-mismatch'])
    expect(messages[0]).toMatch(/^platform: kest\/minimum_trust was recorded as a denial, and allows/)
  })
})

describe('what nobody knows is unverifiable: neither a match by luck, nor held against anybody', () => {
  const unverifiable = async (
    recorded: Recorded,
    texts: readonly ReplayText[],
    why: string,
    options = {},
  ) => {
    const { summary, found } = await replayOf(recorded, texts, options)
    expect(summary).toEqual({ match: 0, matchByName: 0, mismatch: 0, unverifiable: new Map([[why, 1]]) })
    expect([...found.keys()]).toEqual(['policy-unverifiable'])
  }

  it('K-REPLAY a policy that reads the clock', async () => {
    await unverifiable(
      await signed(await engineOf(), {}, 'kest/business_hours'),
      [await textOf()],
      'not-determined',
    )
  })

  it.each(['http.sendxx', 'rand.intnxx'])('K-REPLAY one that calls a function outside, %s', async (name) => {
    const bytes = await readFile(policyLibrary())
    bytes.write(`${name}\0`, bytes.indexOf('time.now_ns\0', 'latin1'), 'latin1')
    const data = dataOf()
    const engine = await RegoWasmEngine.load(bytes, { data, reloadMs: 0, builtins: { [name]: () => 1e18 } })
    const text = await RegoReplay.load(bytes, { data })
    expect(engine.revision()).toBe(text.revision)
    await unverifiable(await signed(engine, {}, 'kest/business_hours'), [text], 'not-determined')
  })

  it('K-REPLAY raisers, lists and ceilings that are not those of that time', async () => {
    const engine = await engineOf()
    const recorded = new Recorded(engine)
    const first = await recorded.begin('gateway', {
      operation: 'a',
      policy: 'kest/integrity',
      origin: 'user_input',
    })
    await recorded.begin('orders', { operation: 'b', policy: 'kest/integrity', trustOverride: 90 }, first)
    const text = await textOf()
    expect((await replayOf(recorded, [text])).summary).toMatchObject({ match: 2 })
    const roots = [{ workload: 'spiffe://kest.test/gateway', ceiling: 20 }]
    // Of the two, the one concerned.
    for (const audit of [{ raisers: [] }, { roots }] satisfies Partial<AuditOptions>[]) {
      const { summary, found } = await replayOf(recorded, [text], { audit })
      expect(summary).toEqual({
        match: 1,
        matchByName: 0,
        mismatch: 0,
        unverifiable: new Map([['context-differs', 1]]),
      })
      expect([...found.keys()]).toEqual(['policy-unverifiable'])
    }
  })

  it('K-REPLAY what a cache withheld, unless it is said what that was', async () => {
    const ignore: IgnorableField[] = ['environment.parent_hash', 'subject.user']
    const recorded = await signed(cacheDecisions(await engineOf(), { ignore }))
    const texts = [await textOf()]
    await unverifiable(recorded, texts, 'context-differs')
    await unverifiable(recorded, texts, 'context-differs', { withheld: [['environment.parent_hash']] })
    expect((await replayOf(recorded, texts, { withheld: [['lineage'], ignore] })).summary).toMatchObject({
      match: 1,
    })
  })

  it('K-REPLAY what pseudonyms keep from the record', async () => {
    const recorded = await signed(await engineOf(), { subject: { pseudonyms: new MemoryPseudonymKeys() } })
    await unverifiable(recorded, [await textOf()], 'no-context')
  })

  it('K-REPLAY an engine that does not say which text decided, and a text that is not given', async () => {
    await unverifiable(await signed({ evaluate: () => true }), [await textOf()], 'no-revision')
    await unverifiable(await signed(await engineOf(2)), [await textOf(1)], 'text-not-given')
    const mapped = claiming(await engineOf(), 'opa:bundle-mapped:main@v1')
    await unverifiable(await signed(mapped), [await RegoReplay.load(await bundle(1, 'v1'))], 'text-not-given')
  })

  it('K-REPLAY several texts that decided in one tier', async () => {
    const engine = claiming(await engineOf(), ['opa:bundle:a@1', 'opa:bundle:b@1'])
    await unverifiable(await signed(engine), [await RegoReplay.load(await bundle(1, '1'))], 'several-texts')
  })

  it('K-REPLAY what builds on entries that are not there', async () => {
    const recorded = new Recorded(await engineOf())
    const first = await recorded.begin('gateway', {
      operation: 'a',
      policy: 'kest/integrity',
      origin: 'system',
    })
    await recorded.begin('orders', { operation: 'b', policy: 'kest/integrity' }, first)
    recorded.operations.shift()
    await unverifiable(recorded, [await textOf()], 'not-verified')
  })

  it('K-REPLAY a text that fails', async () => {
    const text = await textOf()
    const failing: ReplayText = {
      name: 'x',
      revision: text.revision,
      isCalled: () => false,
      replay: () => {
        throw new Error('broken')
      },
    }
    await unverifiable(await signed(await engineOf()), [failing], 'not-determined')
  })

  it('K-REPLAY a policy that looks at which were asked together, where one of them may have been observed', async () => {
    deploy(`policies: {}\n${OBSERVE('b')}`)
    const revision = `test:sha256:${'a'.repeat(64)}`
    const decide = ({ context }: PolicyRequest): boolean => !context.environment.policy_names.includes('b')
    const engine: PolicyEngine = {
      evaluate: (request) => request.policies.includes('b') || decide(request),
      revision: () => revision,
    }
    const text: ReplayText = {
      name: 'x',
      revision,
      isCalled: () => false,
      replay: (request) => ({
        allow: request.policies.every((policy) => policy === 'b' || decide(request)),
        outside: [],
      }),
    }
    await unverifiable(await signed(engine, {}, ['a', 'b']), [text], 'not-determined')
    // What denies whatever was asked beside it is found all the same.
    const liar = await signed(engine, {}, ['a', 'b', 'c'])
    const never = {
      ...text,
      replay: ({ policies }: PolicyRequest) => ({ allow: !policies.includes('c'), outside: [] }),
    }
    expect((await replayOf(liar, [never])).found.has('policy-mismatch')).toBe(true)
  })
})

describe('texts and times', () => {
  it('K-REPLAY two texts under one name are a finding, and where they disagree nobody knows', async () => {
    const recorded = await signed(claiming(await engineOf(1), 'opa:bundle:main@v1'))
    const alike = [await bundle(1, 'v1'), await bundle(2, 'v1')].map((bytes) => RegoReplay.load(bytes))
    const same = await replayOf(recorded, await Promise.all(alike))
    expect([...same.found.keys()]).toEqual(['revision-repeated'])
    expect(same.summary).toMatchObject({ matchByName: 1 })
    const texts = await Promise.all([1, 101].map(async (score) => RegoReplay.load(await bundle(score, 'v1'))))
    const { found, summary } = await replayOf(recorded, texts)
    expect([...found.keys()].sort()).toEqual(['policy-unverifiable', 'revision-repeated'])
    expect(summary.unverifiable).toEqual(new Map([['name-repeated', 1]]))
    // One text that is given twice is one.
    const twice = [texts[0], texts[0]] as [ReplayText, ReplayText]
    expect((await replayOf(recorded, twice)).found.size).toBe(0)
  })

  it('K-REPLAY what decided when it was not in force is an error', async () => {
    const recorded = await signed(await engineOf())
    const { revision } = await textOf()
    const at = recorded.operations[0]?.entry.entry.timestamp_ms as number
    const outside = async (time: object) =>
      (await replayOf(recorded, [], { inForce: { [revision]: time } })).found.has('revision-not-in-force')
    expect(await outside({ from: at, until: at + 1 })).toBe(false)
    expect(await outside({ from: at + 1 })).toBe(true)
    expect(await outside({ until: at })).toBe(true)
  })

  it('K-REPLAY labels that are nonsense are nobody else’s fault, and end no audit', async () => {
    const { makeEntry } = await import('../../audit/dist/testing/make-entry.js')
    const { MockIdentityProvider } = await import('@kest/core/testing')
    const signer = new MockIdentityProvider('gateway').current()
    const recorded = new Recorded(await engineOf())
    const base = {
      'kest.context': 'a'.repeat(64),
      'kest.source': 'x',
      'kest.revisions': '{"function":["a:b:c"]}',
    }
    for (const labels of [
      base,
      { ...base, 'kest.revisions': '{"function":"a:b:c"}' },
      { ...base, 'kest.revisions': '{"nowhere":["a:b:c"]}' },
      { ...base, 'kest.revisions': '[' },
      { ...base, 'kest.revisions': '{"function":["a:sha256:1"]}' },
      { ...base, 'kest.resource_attr': '{"attributes":null,"id":7}' },
      { ...base, 'kest.resource_attr': 'null' },
      { ...base, 'kest.resource_attr': '{"attributes":{' },
      { ...base, 'kest.context': '' },
    ]) {
      const made = makeEntry(signer, [], { labels, timestamp_ms: 9_007_199_254_740_991 })
      recorded.operations.push({ entry: made } as never)
    }
    const { summary, found } = await replayOf(recorded, [await textOf()], {
      inForce: { 'a:b:c': { until: 1 } },
    })
    expect(summary).toMatchObject({ match: 0, matchByName: 0, mismatch: 0 })
    expect([...found.keys()].sort()).toEqual(['policy-unverifiable', 'revision-not-in-force'])
  })

  it.each<[object, string]>([
    [{ text: [] }, 'text'],
    [{ texts: {} }, 'texts'],
    [{ texts: [{}] }, 'texts'],
    [{ inForce: { main: {} } }, 'inForce'],
    [{ inForce: { 'a:b:c': { at: 1 } } }, 'at'],
    [{ inForce: { 'a:b:c': { from: 1.5 } } }, 'inForce'],
    [{ withheld: ['lineage'] }, 'withheld'],
    [{ withheld: [['everything']] }, 'withheld'],
  ])('refuses %j', (options, message) => {
    expect(() => new PolicyReplay(options as never)).toThrow(
      expect.objectContaining({ code: 'ERR_KEST_CONFIG', message: expect.stringContaining(message) }),
    )
  })
})

describe('on the command line', () => {
  const AUDIT = ['audit', 'spans.jsonl', '--trust', 'trust.json']

  async function week(): Promise<string> {
    const recorded = new Recorded(claiming(await engineOf(1), 'opa:bundle:main@v1'))
    await recordTraffic(recorded, 6, ['kest/minimum_trust'])
    return await folder({
      'trust.json': { keys: KEYS },
      'spans.jsonl': recorded.spans,
      'same.tar.gz': await bundle(1, 'v1'),
      'other.tar.gz': await bundle(50, 'v1'),
      'new.tar.gz': await bundle(50, 'v2'),
      'data.json': dataOf(50),
      'policy.wasm': await readFile(policyLibrary()),
      'any.cedar': CEDAR(50),
    })
  }

  it('K-REVISION kest audit --revisions says which texts decided what, first and last', async () => {
    const cwd = await week()
    const { stdout, code } = await kest([...AUDIT, '--revisions'], { cwd })
    expect(stdout).toContain('orders.load of spiffe://kest.test/orders\n')
    expect(stdout).toMatch(/^ {2}Tier +\| Decisions \| First +\| Last +\| Text \| Revision/m)
    expect(stdout).toMatch(/^ {2}function \| 6 +\| .* \| name \| opa:bundle:main@v1$/m)
    expect(stdout).toContain('1 texts have decided; what is a name, its author chose')
    expect(code).toBe(0)
    const all = lines(await kest([...AUDIT, '--revisions', '--json'], { cwd }))
    expect(all.find(({ operation }) => operation === 'orders.load')).toMatchObject({
      workload: 'spiffe://kest.test/orders',
      tier: 'function',
      revision: 'opa:bundle:main@v1',
      kind: 'name',
      decisions: 6,
    })
    expect(all.at(-1)).toMatchObject({ revisions: { revisions: 1, left_out: 0, unproven: 0 } })
  })

  it('K-REVISION kest audit shows the texts of a trace', async () => {
    const cwd = await week()
    const { stdout } = await kest(AUDIT, { cwd })
    expect(stdout).toContain('  decided by opa:bundle:main@v1 (a name)\n')
    const [first] = lines(await kest([...AUDIT, '--json'], { cwd }))
    const [entry] = (first as { entries: Record<string, unknown>[] }).entries
    expect(entry?.['revisions']).toEqual({ function: ['opa:bundle:main@v1'] })
  })

  it('K-REPLAY kest audit --replay fails where a text denies what was signed', async () => {
    const cwd = await week()
    const good = await kest([...AUDIT, '--replay', 'main=same.tar.gz'], { cwd })
    expect([good.code, good.stderr]).toEqual([0, ''])
    expect(good.stdout).toMatch(/^decided again: 0 match, \d+ match by name, 0 mismatch, 0 unverifiable$/m)
    const bad = await kest([...AUDIT, '--replay', 'other.tar.gz'], { cwd })
    expect(bad.code).toBe(1)
    expect(bad.stdout).toMatch(/✗ policy-mismatch: function: kest\/minimum_trust denies/)
    const json = lines(await kest([...AUDIT, '--replay', 'elsewhere=same.tar.gz', '--json'], { cwd }))
    expect(json.at(-1)).toMatchObject({
      replay: {
        match: 0,
        match_by_name: 0,
        mismatch: 0,
        unverifiable: { 'text-not-given': expect.any(Number) },
      },
    })
    const late = await kest([...AUDIT, '--in-force', 'opa:bundle:main@v1=/2020-01-01T00:00:00Z'], { cwd })
    expect([late.code, late.stdout.includes('✗ revision-not-in-force')]).toEqual([1, true])
  })

  it('K-REPLAY kest replay --what-if says what a new text would deny', async () => {
    const cwd = await week()
    const run = (...more: string[]) =>
      kest(['replay', 'spans.jsonl', '--trust', 'trust.json', ...more], { cwd })
    const none = await run('--what-if', 'same.tar.gz')
    expect([none.code, none.stderr]).toEqual([0, ''])
    expect(none.stdout).toMatch(/^0 of \d+ recorded operations would be denied$/m)
    for (const text of ['new.tar.gz', 'policy.wasm,data.json', 'any.cedar']) {
      const some = await run('--what-if', text, '--only-denied')
      expect(some.code).toBe(1)
      expect(some.stdout).toMatch(/^ {2}function: kest\/minimum_trust \| \d+ +\| [1-9]/m)
    }
    const json = lines(await run('--what-if', 'new.tar.gz', '--json'))
    expect(json[0]).toMatchObject({ policy: 'kest/minimum_trust', unknown: 0, reason: expect.any(String) })
    expect(json.at(-1)).toMatchObject({ summary: { operations_denied: expect.any(Number), unproven: 0 } })
    const other = await run('--what-if', 'new.tar.gz', '--policies', 'not/asked', '--json')
    expect(lines(other)).toEqual([
      { summary: { operations: 0, operations_denied: 0, left_out: 0, unproven: 0 } },
    ])
    expect(other.code).toBe(1)
  })

  it.each<[Command, string[], string]>([
    [audit, ['--revisions', '--observed'], '--observed or --revisions'],
    [audit, ['--revisions', '--only-findings'], '--revisions or --only-findings'],
    [audit, ['--withheld', 'lineage'], '--withheld is for --replay'],
    [audit, ['--replay', 'a.cedar', '--withheld', 'all'], '--withheld: expected some of'],
    [audit, ['--in-force', 'v1=/2026-01-01T00:00:00Z'], '--in-force: expected REVISION=FROM/UNTIL'],
    [audit, ['--in-force', 'a:b:c=/'], 'has no time'],
    [audit, ['--in-force', 'a:b:c=2026/'], '--in-force: expected a time'],
    [audit, ['--replay', 'a.tar.gz,b.wasm'], 'expected one bundle'],
    [audit, ['--replay', 'a.json,b.json'], 'two files of JSON'],
    [audit, ['--replay', 'a.cedar,b.tar.gz'], 'expected .cedar files'],
    [audit, ['--replay', 'a.cedar,,b.cedar'], 'expected files'],
    [audit, ['--replay', 'missing.tar.gz'], 'missing.tar.gz'],
    [audit, ['--replay', 'missing.cedar'], 'missing.cedar'],
    [replay, [], 'what if what?'],
    [replay, ['--what-if', 'a.tar.gz', '--policies', ''], '--policies: expected names'],
  ])('refuses %o with %j', async (command, args, message) => {
    await expect(runWithin(command, ['spans.jsonl', '--trust', 'trust.json', ...args])).rejects.toThrow(
      message,
    )
  })
})
