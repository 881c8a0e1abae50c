import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { createKest, type PolicyEngine } from '@kest/core'
import { MockIdentityProvider, RecordingLogger } from '@kest/core/testing'
import { kestFastify } from '@kest/fastify'
import { type OPAOptions, OPAPolicyEngine, policyLibrary, RegoWasmEngine } from '@kest/opa'
import { fastify } from 'fastify'
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import { requestOf } from '../tests/support/context.js'
import { LIBRARY_CASES, PARAMETERS } from '../tests/support/library-cases.js'
import { type OpaSettings, startOpaIn, untilHealthy } from './support/opa-process.js'

const SCRIPT = fileURLToPath(new URL('../../../scripts/policies.mjs', import.meta.url))

/** OPA's own authorization: whoever has the token may ask for data, and nothing else. */
const AUTHZ = `package system.authz

default allow := false

allow if {
	input.identity == "c2VjcmV0"
	input.path[0] == "v1"
	input.path[1] in ["data", "query"]
	input.method == "POST"
}

allow if input.path == ["health"]
`

/** Says why, whatever it decides. */
const OUTSPOKEN = `package orders

# METADATA
# entrypoint: true
default read := {"allow": false, "reason": "nobody"}

read := {"allow": true, "reason": concat(" is ", [input.subject.user, "on call"])} if input.subject.user == "alice"
`

let folder: string

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'kest-opa-'))
  onTestFinished(() => rm(folder, { recursive: true }))
  await writeFile(join(folder, 'data.json'), JSON.stringify(PARAMETERS))
})

it('what is committed is what the policies compile to, and their own tests hold', async () => {
  await promisify(execFile)(process.execPath, [SCRIPT, '--check'])
})

describe('the library, by OPA as in process', () => {
  it.each([
    ['over TCP', {}],
    ['over TCP, several at once', { batch: true }],
  ])('%s', async (_, options) => {
    const engine = engineAt(await startOpa(), options)
    const wasm = await RegoWasmEngine.load(policyLibrary(), { data: PARAMETERS, reloadMs: 0 })
    for (const [policy, context, allow] of LIBRARY_CASES) {
      const request = requestOf([`kest/${policy}`, 'kest/business_hours'], context)
      const decision = await engine.evaluate(request, { signal: new AbortController().signal })
      expect(decision === true, `${policy} ${JSON.stringify(context)}`).toBe(allow)
      expect(wasm.evaluate(request) === true).toBe(allow)
      // Of several at once it is not known which is undefined.
      if (policy !== 'no_such_policy') expect(decision).toEqual(wasm.evaluate(request))
    }
  })

  it('over a Unix socket', async () => {
    const socketPath = join(folder, 'opa.sock')
    await startOpa({ addr: `unix://${socketPath}` })
    const engine = engineAt('http://opa', { socketPath })
    await untilHealthy(engine)
    const [policy, context] = LIBRARY_CASES[0] as (typeof LIBRARY_CASES)[number]
    const { signal } = new AbortController()
    expect(await engine.evaluate(requestOf(`kest/${policy}`, context), { signal })).toBe(true)
  })
})

it('knows each policy that it has, and none that it has not', async () => {
  const engine = engineAt(await startOpa())
  const policies = new Set(LIBRARY_CASES.map(([policy]) => policy))
  for (const policy of policies)
    expect([policy, await engine.knows(`kest/${policy}`)]).toEqual([policy, policy !== 'no_such_policy'])
})

it('K-ASK answers the questions of several tiers at once as one after another', async () => {
  const engine = engineAt(await startOpa())
  const { signal } = new AbortController()
  for (const [policy, context] of LIBRARY_CASES) {
    const requests = [`kest/${policy}`, ['kest/business_hours', `kest/${policy}`], 'kest/no_such_policy'].map(
      (policies) => requestOf(policies, context),
    )
    const alone = []
    for (const request of requests) alone.push(await engine.evaluate(request, { signal }))
    expect(await Promise.all(engine.evaluateAll(requests, { signal }))).toEqual(alone)
  }
})

it('K-ASK an OPA that was restarted is asked on, over a Unix socket', async () => {
  const socketPath = join(folder, 'opa.sock')
  const addr = `unix://${socketPath}`
  const engine = engineAt('http://opa', { socketPath })
  const [policy, context] = LIBRARY_CASES[0] as (typeof LIBRARY_CASES)[number]
  const ask = () => askAll(engine, [`kest/${policy}`, `kest/${policy}`], context)
  for (let restarts = 0; restarts < 3; restarts++) {
    const { kill } = await startOpaProcess({ addr })
    await untilHealthy(engineAt('http://opa', { socketPath }))
    // With what it kept open to the one before.
    expect(await ask()).toEqual([true, true])
    await kill()
    await rm(socketPath, { force: true })
  }
  await expect(ask()).rejects.toMatchObject({ code: 'ERR_KEST_ENGINE' })
})

it('says why a policy allows, by OPA as in process', async () => {
  const rego = join(folder, 'orders.rego')
  await writeFile(rego, OUTSPOKEN)
  const bundle = join(folder, 'bundle.tar.gz')
  await promisify(execFile)('opa', ['build', '-t', 'wasm', '-e', 'orders/read', '-o', bundle, rego])
  const wasm = await RegoWasmEngine.load(bundle, { reloadMs: 0 })
  const opa = engineAt(await startOpa({ args: [rego] }))
  for (const [user, decision] of [
    ['alice', { allow: true, reason: 'orders/read: alice is on call' }],
    ['bob', { allow: false, reason: 'orders/read: nobody' }],
  ] as const) {
    const request = requestOf('orders/read', { subject: { user } })
    expect(wasm.evaluate(request)).toEqual(decision)
    expect(await opa.evaluate(request, { signal: new AbortController().signal })).toEqual(decision)
  }
})

it.each([
  ['regex.split', 'count(regex.split("[[:space:]]+", input.object.id)) == 1'],
  ['yaml.unmarshal', 'yaml.unmarshal(input.object.id).admin == false'],
  ['yaml.is_valid', 'yaml.is_valid(input.object.id)'],
])('%s decides in OPA, and in process refuses to be loaded', async (name, condition) => {
  const rego = join(folder, 'orders.rego')
  await writeFile(rego, `package orders\n\nread if ${condition}\n`)
  const opa = engineAt(await startOpa({ args: [rego] }))
  const request = requestOf('orders/read', { object: { id: 'admin: false' } })
  const { allow = true } = Object(await opa.evaluate(request, { signal: new AbortController().signal }))
  expect(allow).toBe(name !== 'regex.split')
  const bundle = join(folder, 'bundle.tar.gz')
  await promisify(execFile)('opa', ['build', '-t', 'wasm', '-e', 'orders/read', '-o', bundle, rego])
  await expect(RegoWasmEngine.load(bundle, { reloadMs: 0 })).rejects.toMatchObject({
    code: 'ERR_KEST_CONFIG',
    message: expect.stringContaining(`call ${name},`),
  })
})

describe('what decides in OPA, and in process ends the decision', () => {
  it.each([
    ['format_int of 2³¹', 'format_int(input.object.attributes.n, 10) == "2147483648"', 2 ** 31],
    ['format_int below −2³¹', 'format_int(input.object.attributes.n, 10) == "-2147483649"', -(2 ** 31) - 1],
    ['format_int beyond 2⁵³', 'format_int(input.object.attributes.n, 10) == "1152921504606847000"', 2 ** 60],
    ['format_int of a number that no double is', 'format_int(9007199254740993, 10) == "9007199254740993"', 0],
    ['half of a surrogate pair', 'input.object.attributes.n == "\\ufffd"', '\ud800'],
    ['half of one that nobody reads', 'input.object.id == "x"', '\udfff'],
  ])('%s', async (_, condition, n) => {
    const { opa, wasm } = await both(condition)
    const request = requestOf('orders/read', { object: { id: 'x', attributes: { n } } })
    expect(await opa.evaluate(request, { signal: new AbortController().signal })).toBe(true)
    expect(() => wasm.evaluate(request)).toThrow(expect.objectContaining({ code: 'ERR_KEST_ENGINE' }))
  })

  it.each([
    ['format_int below 2³¹', 'format_int(input.object.attributes.n, 10) == "2147483647"', 2 ** 31 - 1],
    ['format_int above −2³¹', 'format_int(input.object.attributes.n, 10) == "-2147483647"', -(2 ** 31) + 1],
    ['a whole pair', 'input.object.attributes.n == "😀"', '😀'],
  ])('not %s', async (_, condition, n) => {
    const { opa, wasm } = await both(condition)
    const request = requestOf('orders/read', { object: { id: 'x', attributes: { n } } })
    expect(await opa.evaluate(request, { signal: new AbortController().signal })).toBe(true)
    expect(wasm.evaluate(request)).toBe(true)
  })

  it('format_int of −2³¹, which is written wrongly', async () => {
    const { opa, wasm } = await both('format_int(input.object.attributes.n, 10) == "-2147483648"')
    const request = requestOf('orders/read', { object: { id: 'x', attributes: { n: -(2 ** 31) } } })
    expect(await opa.evaluate(request, { signal: new AbortController().signal })).toBe(true)
    expect(wasm.evaluate(request)).toMatchObject({ allow: false })
  })

  async function both(condition: string) {
    const rego = join(folder, 'orders.rego')
    await writeFile(rego, `package orders\n\nread if ${condition}\n`)
    const opa = engineAt(await startOpa({ args: [rego] }))
    const bundle = join(folder, 'bundle.tar.gz')
    await promisify(execFile)('opa', ['build', '-t', 'wasm', '-e', 'orders/read', '-o', bundle, rego])
    return { opa, wasm: await RegoWasmEngine.load(bundle, { reloadMs: 0 }) }
  }
})

describe('a service that asks OPA', () => {
  it('TC-07 an operation that is denied does not run', async () => {
    const url = await startOpa()
    expect(await askThrough(engineAt(url), 'kest/required_hops')).toEqual([403, 'ERR_KEST_DENIED', 0])
    expect(await askThrough(engineAt(url), 'no/such/policy')).toEqual([403, 'ERR_KEST_DENIED', 0])
    expect(await askThrough(engineAt(url), 'kest/business_hours')).toEqual([200, undefined, 1])
  })

  it('TC-08 allow and deny is deny', async () => {
    const url = await startOpa()
    const policies = ['kest/business_hours', 'kest/required_hops'] as const
    expect(await askThrough(engineAt(url), policies)).toEqual([403, 'ERR_KEST_DENIED', 0])
    expect(await askThrough(engineAt(url, { batch: true }), policies)).toEqual([403, 'ERR_KEST_DENIED', 0])
  })

  it('TC-09 an OPA that is gone is an error', async () => {
    const opa = await startOpaProcess()
    const engine = engineAt(opa.url)
    expect(await askThrough(engine, 'kest/business_hours')).toEqual([200, undefined, 1])
    await opa.kill()
    expect(await askThrough(engine, 'kest/business_hours')).toEqual([503, 'ERR_KEST_ENGINE', 0])
    await expect(engine.health()).rejects.toMatchObject({ code: 'ERR_KEST_ENGINE' })
  })

  it('shows its token to an OPA that asks for one', async () => {
    const authz = join(folder, 'authz.rego')
    await writeFile(authz, AUTHZ)
    const url = await startOpa({ args: ['--authentication=token', '--authorization=basic', authz] })
    const token = 'c2VjcmV0'
    expect(await askThrough(engineAt(url, { token }), 'kest/business_hours')).toEqual([200, undefined, 1])
    for (const options of [{}, { token: 'another' }])
      expect(await askThrough(engineAt(url, options), 'kest/business_hours')).toEqual([
        503,
        'ERR_KEST_ENGINE',
        0,
      ])
  })
})

function engineAt(url: string, options: Omit<OPAOptions, 'url'> = {}): OPAPolicyEngine {
  const engine = new OPAPolicyEngine({ url, timeoutMs: 60_000, ...options })
  onTestFinished(() => engine.close())
  return engine
}

function askAll(engine: OPAPolicyEngine, tiers: readonly string[], context: Parameters<typeof requestOf>[1]) {
  const requests = tiers.map((policies) => requestOf(policies, context))
  return Promise.all(engine.evaluateAll(requests, { signal: new AbortController().signal }))
}

/** @returns status, code, and how often the operation ran */
async function askThrough(engine: PolicyEngine, policy: string | readonly [string, ...string[]]) {
  const kest = createKest({
    identity: new MockIdentityProvider('spiffe://example.org/orders'),
    engine,
    policyTimeoutMs: 60_000,
    logger: new RecordingLogger(),
  })
  const app = fastify()
  await app.register(kestFastify, { kest, origin: 'user_input' })
  let runs = 0
  app.get('/', { config: { kest: { policy } } }, () => ({ runs: ++runs }))
  const response = await app.inject('/')
  await app.close()
  return [response.statusCode, response.json().code, runs]
}

async function startOpa(settings: OpaSettings = {}): Promise<string> {
  return (await startOpaProcess(settings)).url
}

function startOpaProcess(settings: OpaSettings = {}) {
  return startOpaIn(folder, settings)
}
