import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { isComplete, itemOf } from '../src/audit/audit.js'
import { CHAIN, type Service } from '../src/chain.js'
import type { Fault } from './faults/fault.js'
import { DEPLOYMENT_FAULTS, HOP_FAULTS, PROCESS_FAULTS } from './faults/hops.js'
import { IDENTITY_FAULTS } from './faults/identities.js'
import { COLLECTOR_FAULTS, POLICY_FAULTS } from './faults/servers.js'
import { endAndAudit } from './support/lab.js'
import { executionsIn, type Scene, setScene } from './support/scene.js'

/** Conditions are waited for; this only ends what would hang. */
const LONG_MS = 180_000
const WELL = 5
/** Long enough for renewal at half of it, on a machine that is busy. */
const TTL_SECONDS = 40

/** What a machine that is busy with something else may make of any request: a second was not enough. */
const BUSY = ['ERR_KEST_ENGINE_TIMEOUT', 'ERR_KEST_AUDIT_UNAVAILABLE', 'ERR_NEXT_TIMEOUT']

/** Of the operations of each. */
const POLICIES: Readonly<Record<Service, readonly string[]>> = {
  hop1: ['hop1/users_may_start'],
  hop2: ['hop2/from_hop1'],
  hop3: ['hop3/two_hops_away', 'hop3/not_sealed'],
}

/** All that is measured is told, for whoever wants to know; nothing of it decides. */
it.each([
  ['servers', [...POLICY_FAULTS, ...COLLECTOR_FAULTS], {}],
  ['hops', [...HOP_FAULTS, ...PROCESS_FAULTS, ...DEPLOYMENT_FAULTS], {}],
  ['identities', IDENTITY_FAULTS, { ttlSeconds: TTL_SECONDS, identities: null }],
] as const)(
  'K-AUDIT NF-SEC-03 faults of %s: a clear error or the whole chain, nothing acknowledged is lost, nothing runs unsigned',
  async (_, faults, options) => {
    const scene = await setScene(options)
    for (const fault of faults) await endure(scene, fault)
    await judge(scene)
  },
  1_800_000,
)

/** Lets one fault happen under load, and waits until it is over and all is well. */
async function endure(scene: Scene, fault: Fault): Promise<void> {
  const { lab, load } = scene
  await load.untilWell(WELL, LONG_MS)
  const first = load.outcomes.length
  const logged = fault.log === null ? 0 : readFileSync(lab.logOf(fault.log[0]), 'utf8').length
  const since = performance.now()
  const end = await fault.begin(scene)
  const [awaited] = fault.codes
  if (awaited === undefined) await load.untilWell(WELL, LONG_MS)
  else await load.untilSeen(awaited, since, LONG_MS)
  if (fault.log !== null) {
    const [of, says] = fault.log
    await load.untilTrue(
      `${fault.name}: the log of ${of} says ${JSON.stringify(says)}`,
      () => isIn(readFileSync(lab.logOf(of), 'utf8').slice(logged), says),
      LONG_MS,
    )
  }
  const over = performance.now()
  await end()
  await load.untilWell(WELL, LONG_MS)

  const seen = load.outcomes.slice(first)
  expect(
    seen.flatMap(({ unclear }) => unclear ?? []),
    fault.name,
  ).toEqual([])
  const codes = countBy(seen.map(({ code }) => code ?? 'answered'))
  const expected = ['answered', ...fault.codes, ...(fault.sometimes?.slice(0, 1) ?? []), ...BUSY]
  for (const code of codes.keys()) expect(expected, fault.name).toContain(code)
  const seconds = ((performance.now() - over) / 1000).toFixed(1)
  console.log(`${fault.name}: ${JSON.stringify(Object.fromEntries(codes))}, well again after ${seconds} s`)
}

async function judge(scene: Scene): Promise<void> {
  const { lab, load } = scene
  await load.stop()
  const executed = executionsIn(lab)
  const { traces, summary } = await endAndAudit(lab)

  const proven = new Set(traces.filter(isComplete).map(itemOf))
  expect(
    load.answered.filter((item) => !proven.has(item)),
    'answered, and not on record',
  ).toEqual([])
  expect(summary.verdicts.broken).toBe(0)

  const signed = new Map(
    traces.flatMap(({ entries }) =>
      entries
        .filter(({ status }) => status === 'verified')
        .map(({ service, entry }): [string, typeof entry] => [`${service} ${entry.labels['item']}`, entry]),
    ),
  )
  expect(
    executed.filter((one) => !signed.has(one)),
    'executed, and not signed',
  ).toEqual([])
  for (const item of load.answered)
    for (const service of CHAIN) expect(executed, 'the probes see what runs').toContain(`${service} ${item}`)
  expect(new Set(executed).size, 'executed once').toBe(executed.length)
  for (const one of executed) expect(signed.get(one)?.policy_context, one).toMatchObject(decidedBy(one))
  console.log(
    `${load.outcomes.length} requests, ${load.answered.length} answered, ${executed.length} executions, ${JSON.stringify(Object.fromEntries(summary.findings))}`,
  )
}

/** Beside what to do; OPA names the line to mend. */
function isIn(log: string, says: string): boolean {
  const lines = log.split('\n').filter((line) => line.includes(says))
  return lines.some((line) => /"remedy":"|rego_parse_error/.test(line))
}

/** What must have been asked before a handler ran. */
function decidedBy(execution: string): object {
  const [service] = execution.split(' ')
  return {
    enterprise_policies: ['enterprise/no_embargoed_item'],
    platform_policies: ['platform/minimum_trust'],
    function_policies: POLICIES[service as Service],
  }
}

function countBy(names: readonly string[]): ReadonlyMap<string, number> {
  const counts = new Map<string, number>()
  for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1)
  return counts
}
