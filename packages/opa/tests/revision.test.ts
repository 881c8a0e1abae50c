import { readFile } from 'node:fs/promises'
import { gzipSync } from 'node:zlib'
import { type Decision, parseRevision } from '@kest/core'
import { FakeClock, RecordingLogger } from '@kest/core/testing'
import { createTar } from 'nanotar'
import { describe, expect, it, onTestFinished } from 'vitest'
import {
  type OPAOptions,
  OPAPolicyEngine,
  policyLibrary,
  RegoReplay,
  type RegoReplayOptions,
  RegoWasmEngine,
  type RegoWasmOptions,
} from '../src/index.js'
import { planName } from '../src/plans/format.js'
import { requestOf } from './support/context.js'
import { LIBRARY_CASES, PARAMETERS } from './support/library-cases.js'
import { json, scriptedOpa } from './support/scripted-opa.js'

const { signal } = new AbortController()
const VERSIONS = { version: '1.22.2', build_commit: 'c', build_hostname: 'h' }

function engineAt(url: string, options: Omit<OPAOptions, 'url'> = {}): OPAPolicyEngine {
  const engine = new OPAPolicyEngine({ url, timeoutMs: 60_000, ...options })
  onTestFinished(() => engine.close())
  return engine
}

/** What an engine says of its text, by an OPA that answers this. */
async function decisionOf(
  provenance: unknown,
  options: Omit<OPAOptions, 'url'> = {},
  policies: readonly string[] = ['a'],
): Promise<Decision | true> {
  const opa = await scriptedOpa((response) => json(response, { result: true, provenance }))
  return await engineAt(opa.url, options).evaluate(requestOf(policies), { signal })
}

describe('which bundle decided, as OPA says it', () => {
  it('K-REVISION is asked for with each decision, and taken from that very answer', async () => {
    const opa = await scriptedOpa((response, { path }) => {
      const bundles = { main: { revision: path.endsWith('/b') ? 'v2' : 'v1' } }
      json(response, { result: !path.endsWith('/no'), provenance: { ...VERSIONS, bundles } })
    })
    const engine = engineAt(opa.url)
    const ask = (policies: readonly string[]) => engine.evaluate(requestOf(policies), { signal })
    expect(await ask(['a'])).toEqual({ allow: true, revision: ['opa:bundle:main@v1'] })
    expect(await ask(['a', 'b'])).toEqual({
      allow: true,
      revision: ['opa:bundle:main@v1', 'opa:bundle:main@v2'],
    })
    expect(await ask(['no', 'b'])).toMatchObject({ allow: false, revision: ['opa:bundle:main@v1'] })
    const all = await Promise.all(engine.evaluateAll([requestOf(['a']), requestOf(['b'])], { signal }))
    expect(all).toEqual([
      { allow: true, revision: ['opa:bundle:main@v1'] },
      { allow: true, revision: ['opa:bundle:main@v2'] },
    ])
    expect(new Set(opa.asked.map(({ query }) => query))).toEqual(new Set(['?provenance=true']))
  })

  it('K-REVISION of a plan is that of all that it joins', async () => {
    const tiers = [['e/one'], ['p/one']]
    const name = planName(tiers)
    const opa = await scriptedOpa((response, { path }) => {
      const result = path.includes('kest_plans') ? { plan: name, '0': true, '1': true } : true
      json(response, {
        result,
        provenance: { bundles: { main: { revision: path.length > 20 ? 'plan' : 'v1' } } },
      })
    })
    const engine = engineAt(opa.url, { plans: { retryMs: 1 } })
    const requests = tiers.map((policies) => requestOf(policies))
    const ask = () => Promise.all(engine.evaluateAll(requests, { signal }))
    let decisions = await ask()
    expect(decisions[0]).toEqual({ allow: true, revision: ['opa:bundle:main@v1'] })
    await expect.poll(() => engine.plans()[0]?.state, { timeout: 60_000 }).toBe('used')
    decisions = await ask()
    for (const one of decisions) expect(one).toEqual({ allow: true, revision: ['opa:bundle:main@plan'] })
  })

  it.each([
    [
      'several bundles',
      { bundles: { b: { revision: '2' }, a: { revision: '1' } } },
      ['opa:bundle:b@2', 'opa:bundle:a@1'],
    ],
    ['one without a name, of old', { revision: 'v1' }, ['opa:bundle:@v1']],
  ])('K-REVISION of %s', async (_, provenance, revision) => {
    expect(await decisionOf({ ...VERSIONS, ...provenance })).toEqual({ allow: true, revision })
  })

  it.each([
    ['none', undefined],
    ['no bundle', VERSIONS],
    ['no bundles at all', { bundles: {} }],
    ['a bundle without a revision', { bundles: { a: { revision: '1' }, b: { revision: '' } } }],
    ['a bundle that is none', { bundles: { a: null } }],
    ['nonsense', 'v1'],
  ])('K-REVISION is not said of %s', async (_, provenance) => {
    expect(await decisionOf(provenance)).toBe(true)
  })

  it('K-REVISION a policy that is another document than that of its name is told apart', async () => {
    const provenance = { bundles: { main: { revision: 'v1' } } }
    const mapped = { allow: true, revision: ['opa:bundle-mapped:main@v1'] }
    expect(await decisionOf(provenance, { paths: { a: 'other/a' } })).toEqual(mapped)
    const opa = await scriptedOpa((response) =>
      json(response, { result: { x: { allow: true } }, provenance }),
    )
    for (const decisionPath of ['x', { a: 'x' }]) {
      const engine = engineAt(opa.url, { decisionPath })
      expect(await engine.evaluate(requestOf(['a']), { signal })).toEqual(mapped)
    }
    expect(await decisionOf(provenance, { paths: { b: 'other/b' } })).toEqual({
      allow: true,
      revision: ['opa:bundle:main@v1'],
    })
  })

  it('K-REVISION is not asked for where it may not be, and who bars it is named', async () => {
    const opa = await scriptedOpa((response, { query }) =>
      query === '' ? json(response, { result: true }) : json(response, { code: 'unauthorized' }, 401),
    )
    const ask = (options: Omit<OPAOptions, 'url'>) =>
      engineAt(opa.url, options).evaluate(requestOf(['a']), { signal })
    expect(await ask({ provenance: false })).toBe(true)
    await expect(ask({})).rejects.toMatchObject({
      code: 'ERR_KEST_ENGINE',
      reason: expect.stringContaining('does what guards it let the parameter "provenance" through?'),
    })
  })
})

describe('which module and data decided', () => {
  const revisionOf = async (options: RegoWasmOptions = {}, source: URL | Uint8Array = policyLibrary()) => {
    using engine = await RegoWasmEngine.load(source, {
      reloadMs: 0,
      logger: new RecordingLogger(),
      ...options,
    })
    return engine.revision()
  }

  it('K-REVISION is a digest of both, and of nothing else', async () => {
    const bytes = await readFile(policyLibrary())
    const revision = (await revisionOf({ data: { a: 1, b: { c: 2, d: 3 } } })) as string
    expect(parseRevision(revision)).toMatchObject({ engine: 'rego-wasm', isDigest: true })
    expect(
      await revisionOf({ data: { b: { d: 3, c: 2 }, a: 1 }, maxMemoryBytes: 32 * 1024 * 1024 }, bytes),
    ).toBe(revision)
    const bundle = bundleOf({ 'policy.wasm': bytes, 'data.json': '{"a":1,"b":{"c":2,"d":3}}' })
    expect(await revisionOf({}, bundle)).toBe(revision)
    const others = [
      await revisionOf(),
      await revisionOf({ data: { a: 2, b: { c: 2, d: 3 } } }),
      await revisionOf({ data: { a: 1, b: { c: 2, d: 3 } }, paths: { p: 'kest/integrity' } }),
      await revisionOf({ data: { a: 1, b: { c: 2, d: 3 } }, decisionPath: 'x' }),
      await revisionOf({ data: { a: 1, b: { c: 2, d: 3 } }, builtins: { 'time.now_ns': () => 0 } }),
    ]
    expect(new Set([revision, ...others]).size).toBe(6)
    expect(await revisionOf({ builtins: { 'never.called': () => 0 } })).toBe(others[0])
  })

  it('K-REVISION is not said where it would not be the same for the same text', async () => {
    expect(await revisionOf({ paths: (policy) => policy })).toBeUndefined()
  })
})

describe('asked again', () => {
  const SHAPES = { ...PARAMETERS }
  const load = async (data: object, options: RegoReplayOptions = {}) =>
    await RegoReplay.load(policyLibrary(), { data: data as never, ...options })
  const byDigest = (text: RegoReplay) =>
    parseRevision(text.revision) as NonNullable<ReturnType<typeof parseRevision>>

  it('K-REPLAY a text is that of the engine that had it, and decides as it did; the clock is said to be outside', async () => {
    const text = await load(SHAPES)
    using engine = await RegoWasmEngine.load(policyLibrary(), {
      data: PARAMETERS,
      reloadMs: 0,
      clock: new FakeClock(),
    })
    expect(text.revision).toBe(engine.revision())
    for (const [policy, context, allow] of LIBRARY_CASES) {
      const decision = text.replay(requestOf(`kest/${policy}`, context), byDigest(text))
      expect([policy, decision.allow]).toEqual([policy, allow])
      expect(decision.outside.length > 0).toBe(policy === 'business_hours')
    }
  })

  it('K-REPLAY by name is that of an OPA whose bundle has that revision, whatever its name unless one is given', async () => {
    const wasm = await readFile(policyLibrary())
    const bundle = bundleOf({ 'policy.wasm': wasm, '.manifest': '{"revision":"v1@x","roots":[""]}' })
    const isCalled = async (revision: string, options: RegoReplayOptions = {}) => {
      const named = parseRevision(revision) as NonNullable<ReturnType<typeof parseRevision>>
      return (await RegoReplay.load(bundle, options)).isCalled(named)
    }
    expect(await isCalled('opa:bundle:main@v1@x')).toBe(true)
    expect(await isCalled('opa:bundle:main@v1@x', { bundle: 'main' })).toBe(true)
    expect(await isCalled('opa:bundle:a@b@v1@x', { bundle: 'a@b' })).toBe(true)
    for (const revision of [
      'opa:bundle:main@x',
      'opa:bundle:main@v1',
      'opa:bundle-mapped:main@v1@x',
      'other:bundle:main@v1@x',
    ])
      expect(await isCalled(revision)).toBe(false)
    expect(await isCalled('opa:bundle:other@v1@x', { bundle: 'main' })).toBe(false)
    const nameless = await RegoReplay.load(policyLibrary())
    expect(nameless.isCalled({ engine: 'opa', scheme: 'bundle', value: 'main@', isDigest: false })).toBe(
      false,
    )
  })

  it('K-REPLAY a policy that is no entry point denies by digest, and is not known by name', async () => {
    const text = await load(SHAPES)
    const request = requestOf('orders/read')
    expect(text.replay(request, byDigest(text))).toMatchObject({ allow: false, outside: [] })
    const named = { engine: 'opa', scheme: 'bundle', value: 'main@v1', isDigest: false }
    expect(text.replay(request, named).outside).toEqual(['orders/read, which is no entry point of it'])
  })

  it('K-REPLAY a function that is not in the module is stood in for, and said to be outside', async () => {
    const bytes = await readFile(policyLibrary())
    bytes.write('http.sendxx\0', bytes.indexOf('time.now_ns\0', 'latin1'), 'latin1')
    const text = await RegoReplay.load(bytes, { data: PARAMETERS as never })
    const decision = text.replay(requestOf('kest/business_hours'), byDigest(text))
    expect(decision.outside).toEqual(['http.sendxx'])
    using engine = await RegoWasmEngine.load(bytes, {
      data: PARAMETERS,
      reloadMs: 0,
      builtins: { 'http.sendxx': () => 0 },
    })
    expect(engine.revision()).toBe(text.revision)
  })

  it('K-REPLAY what is wrong with options and data is said when it is loaded', async () => {
    await expect(load({ a: '\ud800' })).rejects.toMatchObject({ code: 'ERR_KEST_CONFIG' })
    await expect(load({}, { bundle: '' })).rejects.toMatchObject({ code: 'ERR_KEST_CONFIG' })
    await expect(load({}, { builtins: {} } as never)).rejects.toMatchObject({ code: 'ERR_KEST_CONFIG' })
  })
})

function bundleOf(files: Readonly<Record<string, string | Uint8Array>>): Uint8Array {
  return gzipSync(createTar(Object.entries(files).map(([name, data]) => ({ name: `/${name}`, data }))))
}
