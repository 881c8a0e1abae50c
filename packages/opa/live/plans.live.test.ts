import { execFile } from 'node:child_process'
import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import type { Decision, PolicyRequest } from '@kest/core'
import { type Combination, OPAPolicyEngine, type PlanState, policyPlans } from '@kest/opa'
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import { requestOf } from '../tests/support/context.js'
import { LIBRARY_CASES, PARAMETERS } from '../tests/support/library-cases.js'
import { startOpaIn } from './support/opa-process.js'

const WAIT_MS = 60_000

/** Every kind of document that a policy can be. */
const ODD = `package odd

import rego.v1

yes := true

no := false

none if input.nothing.at.all

null_ := null

text := "true"

number := 1

set contains "x"

empty contains x if { some x in [] }

list := [true]

why := {"allow": false, "reason": ["one", "two"]}

reasons := {"allow": true, "reason": {"b", "a"}}

conflict := true if input.object.id != ""

conflict := false if input.trust_score < 100

sometimes := true if input.object.id != ""

sometimes := false if input.object.id == "bad"

failing if 1 / (input.trust_score - input.trust_score) == 0

whose := {"allow": true, "reason": sprintf("%s %v", [input.environment.policy_tier, input.environment.policy_names])}

within := told if told := whose with input as {"environment": {"policy_tier": "mine", "policy_names": []}}
`
const ODD_NAMES = [
  ...['yes', 'no', 'none', 'null_', 'text', 'number', 'set', 'empty', 'list', 'why', 'reasons', 'failing'],
  ...['whose', 'within', 'no_such'],
]

let folder: string

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'kest-plans-'))
  onTestFinished(() => rm(folder, { recursive: true }))
  await writeFile(join(folder, 'data.json'), JSON.stringify(PARAMETERS))
  await writeFile(join(folder, 'odd.rego'), ODD)
})

const LIBRARY = LIBRARY_CASES.map(([policy, context]) => ({
  context,
  tiers: ['kest/business_hours', [`kest/${policy}`, 'kest/business_hours'], `kest/${policy}`].map((one) =>
    [one].flat(),
  ),
}))
const ODDS = ODD_NAMES.map((name) => ({
  context: {},
  tiers: [['odd/yes'], [`odd/${name}`, 'odd/whose'], [`odd/${name}`]],
}))

describe('answers by a plan are those of single questions', () => {
  it.each([
    ['of the library', LIBRARY],
    ['of every kind of document', ODDS],
    ['of whole packages', [{ context: {}, tiers: [['kest/minimum_trust'], ['authz'], ['odd/yes']] }]],
  ])('%s', async (_, cases) => {
    const packaged = join(folder, 'authz.rego')
    await writeFile(
      packaged,
      'package authz\n\nimport rego.v1\n\nallow if input.trust_score >= 40\n\nreason := "enough"\n',
    )
    const { url } = await startOpaIn(folder, {
      args: [await plansFile(cases.map(({ tiers }) => tiers)), join(folder, 'odd.rego'), packaged],
    })
    const [single, planned] = [engineAt(url, false), engineAt(url, true)]
    for (const { tiers, context } of cases) {
      const requests = requestsOf(tiers, context)
      const expected = await outcomes(single, requests)
      expect(await outcomes(planned, requests)).toEqual(expected)
      await until(planned, requests, 'used')
      expect(await outcomes(planned, requests), JSON.stringify(tiers)).toEqual(expected)
    }
    expect(new Set(planned.plans().map(({ state }) => state))).toEqual(new Set(['used']))
  })

  it('of a policy that is asked by two tiers, each sees its own', async () => {
    const tiers = [['odd/whose'], ['odd/whose', 'odd/within'], ['odd/whose']]
    const { url } = await startOpaIn(folder, { args: [await plansFile([tiers]), join(folder, 'odd.rego')] })
    const engine = engineAt(url, true)
    const requests = (['enterprise', 'platform', 'function'] as const).map((policy_tier, i) =>
      requestOf(tiers[i] as string[], { environment: { policy_tier } }),
    )
    await until(engine, requests, 'used')
    expect(await outcomes(engine, requests)).toEqual([
      { allow: true, reason: 'odd/whose: enterprise ["odd/whose"]' },
      { allow: true, reason: 'odd/whose: platform ["odd/whose", "odd/within"]; odd/within: mine []' },
      { allow: true, reason: 'odd/whose: function ["odd/whose"]' },
    ])
    expect(engine.plans()).toEqual([{ combination: tiers, state: 'used' }])
  })

  it('of policies one of which conflicts: the plan fails as a whole, and each is asked alone', async () => {
    const tiers = [['odd/sometimes'], ['odd/yes']]
    const always = [['odd/yes'], ['odd/conflict']]
    const { url } = await startOpaIn(folder, {
      args: [await plansFile([tiers, always]), join(folder, 'odd.rego')],
    })
    const [single, planned] = [engineAt(url, false), engineAt(url, true)]
    const good = requestsOf(tiers, {})
    const bad = requestsOf(tiers, { object: { id: 'bad' } })
    await until(planned, good, 'used')
    const expected = ['ERR_KEST_ENGINE', true]
    expect(await outcomes(single, bad)).toEqual(expected)
    expect(await outcomes(planned, bad)).toEqual(expected)
    expect(planned.plans()[0]?.state).toBe('failed')
    await until(planned, requestsOf(always, {}), 'failed')
    expect(await outcomes(planned, requestsOf(always, {}))).toEqual([true, 'ERR_KEST_ENGINE'])
    // What it was for one context says nothing of another.
    await until(planned, good, 'used')
  })
})

it('a plan of other policies is not used, and one that is replaced changes no answer', async () => {
  const [before, after] = [
    [['kest/minimum_trust'], ['odd/yes']],
    [['kest/minimum_trust'], ['odd/no']],
  ]
  const file = await plansFile([before])
  const { url } = await startOpaIn(folder, { args: ['--watch', file, join(folder, 'odd.rego')] })
  const engine = engineAt(url, true)
  await until(engine, requestsOf(before, {}), 'used')
  await until(engine, requestsOf(after, {}), 'absent')
  expect(await outcomes(engine, requestsOf(after, {}))).toEqual([true, { allow: false, reason: 'odd/no' }])
  await plansFile([after])
  await until(engine, requestsOf(after, {}), 'used')
  await until(engine, requestsOf(before, {}), 'absent')
  expect(await outcomes(engine, requestsOf(before, {}))).toEqual([true, true])
  expect(await outcomes(engine, requestsOf(after, {}))).toEqual([true, { allow: false, reason: 'odd/no' }])
})

it('an OPA that is started again without its plan is asked for each policy', async () => {
  const tiers = [['kest/minimum_trust'], ['odd/no']]
  const odd = join(folder, 'odd.rego')
  const first = await startOpaIn(folder, { args: [await plansFile([tiers]), odd] })
  const engine = engineAt(first.url, true)
  const requests = requestsOf(tiers, {})
  await until(engine, requests, 'used')
  await first.kill()
  expect(await outcomes(engine, requests)).toEqual(['ERR_KEST_ENGINE', 'ERR_KEST_ENGINE'])
  const second = await startOpaIn(folder, { port: first.port, args: [odd] })
  await until(engine, requests, 'absent')
  expect(await outcomes(engine, requests)).toEqual([true, { allow: false, reason: 'odd/no' }])
  await second.kill()
  await startOpaIn(folder, { port: first.port, args: [join(folder, 'plans.rego'), odd] })
  await until(engine, requests, 'used')
  expect(await outcomes(engine, requests)).toEqual([true, { allow: false, reason: 'odd/no' }])
})

it('the authorization of docker/opa lets a plan be asked', async () => {
  const authz = fileURLToPath(new URL('../../../docker/opa/authz.rego', import.meta.url))
  const tiers = [['kest/minimum_trust'], ['odd/yes']]
  const { url } = await startOpaIn(folder, {
    args: ['--authorization=basic', authz, await plansFile([tiers]), join(folder, 'odd.rego')],
  })
  await until(engineAt(url, true), requestsOf(tiers, {}), 'used')
})

it('is Rego as OPA checks it, strictly, and formats it', async () => {
  const names = [['if/in', 'a-b/c.d:e', 'data/input', 'with/not'], ['_x/Y2']]
  const file = await plansFile([names, ...[...LIBRARY, ...ODDS].map(({ tiers }) => tiers)])
  await promisify(execFile)('opa', ['check', '--strict', file])
  await promisify(execFile)('opa', ['fmt', '--fail', file])
})

function engineAt(url: string, plans: boolean): OPAPolicyEngine {
  const engine = new OPAPolicyEngine({ url, timeoutMs: 60_000, plans: plans && { retryMs: 1 } })
  onTestFinished(() => engine.close())
  return engine
}

/** Put in place as a whole: OPA may follow it. */
async function plansFile(combinations: readonly Combination[]): Promise<string> {
  const file = join(folder, 'plans.rego')
  await writeFile(`${file}.new`, policyPlans(combinations))
  await rename(`${file}.new`, file)
  return file
}

function requestsOf(tiers: Combination, context: Parameters<typeof requestOf>[1]): readonly PolicyRequest[] {
  return tiers.map((policies) => requestOf(policies, context))
}

/** Decisions, and codes of errors. */
async function outcomes(engine: OPAPolicyEngine, requests: readonly PolicyRequest[]) {
  const settled = await Promise.allSettled(
    engine.evaluateAll(requests, { signal: new AbortController().signal }),
  )
  return settled.map((one): true | Decision | string =>
    one.status === 'fulfilled' ? one.value : (one.reason as { code: string }).code,
  )
}

/** Asks until it is known of the plan of these requests. */
async function until(
  engine: OPAPolicyEngine,
  requests: readonly PolicyRequest[],
  state: PlanState,
): Promise<void> {
  const wanted = JSON.stringify(requests.map(({ policies }) => policies))
  const late = Date.now() + WAIT_MS
  for (;;) {
    const found = engine.plans().find(({ combination }) => JSON.stringify(combination) === wanted)
    if (found?.state === state) return
    if (Date.now() > late) throw new Error(`the plan is ${found?.state} after ${WAIT_MS} ms, not ${state}`)
    await outcomes(engine, requests)
    await delay(5)
  }
}
