import { describe, expect, it } from 'vitest'
import { folder, kest, lines } from './support/kest.js'
import { entryBy, exported, KEYS } from './support/spans.js'

const DAY = 86_400_000
const NOW = Date.now()
const label = (code: string, policy: string) => ({
  'kest.observed': JSON.stringify([{ code, policy, tier: 'function' }]),
})
const context = { enterprise_policies: [], platform_policies: [], app_policies: [], deviations: [] }

/** A week of `orders`, which one of two policies would have refused. */
async function week(): Promise<string> {
  const at = (days: number) => ({ timestamp_ms: NOW - days * DAY })
  const gateway = entryBy('gateway', [], { ...at(10), operation: 'edge' })
  const entries = [8, 4, 0].map((days, index) =>
    entryBy('orders', [gateway], {
      ...at(days),
      policy_context: { ...context, function_policies: index === 1 ? ['a'] : ['a', 'b'] },
      ...(index === 1 && { labels: label('ERR_KEST_DENIED', 'b') }),
    }),
  )
  return await folder({ 'trust.json': { keys: KEYS }, 'spans.jsonl': exported(gateway, ...entries) })
}

const AUDIT = ['audit', 'spans.jsonl', '--trust', 'trust.json', '--observed']

describe('kest audit --observed', () => {
  it('K-OBSERVE shows by operation and policy what was asked and would have been refused, and what is ready', async () => {
    const cwd = await week()
    const { stdout, stderr, code } = await kest(AUDIT, { cwd })
    expect([stderr, code]).toEqual(['', 0])
    expect(stdout).toContain('GET /orders/:id of spiffe://kest.test/orders\n')
    expect(stdout).toMatch(
      /^ {2}Policy +\| Asked \| Refused \| By +\| Called by +\| First +\| Last +\| Ready/m,
    )
    expect(stdout).toMatch(/^ {2}function: a +\| 3 +\| 0 .*\| yes *$/m)
    expect(stdout).toMatch(
      /^ {2}function: b +\| 3 +\| 1 +\| 1 ERR_KEST_DENIED +\| 1 spiffe:\/\/kest\.test\/gateway .*\| no: refused *$/m,
    )
    expect(stdout).toContain('2 of 4 are ready to be enforced: nothing refused for 7 days of records, as of ')
    expect(stdout).not.toContain('trace ')
    expect(stdout).toContain('1 traces: 1 verified')
  })

  it('K-OBSERVE writes the same as JSON: a line for each, and the last with the summary', async () => {
    const cwd = await week()
    const all = lines(await kest([...AUDIT, '--json', '--days', '3'], { cwd }))
    const [b] = all.filter(({ policy }) => policy === 'b')
    expect(b).toEqual({
      workload: 'spiffe://kest.test/orders',
      operation: 'GET /orders/:id',
      tier: 'function',
      policy: 'b',
      asked: 3,
      refused: { ERR_KEST_DENIED: 1 },
      not_asked: 0,
      callers: [{ caller: 'spiffe://kest.test/gateway', refused: 1 }],
      other_callers: 0,
      first_ms: NOW - 8 * DAY,
      last_ms: NOW,
      last_refused_ms: NOW - 4 * DAY,
      ready: true,
      why: [],
    })
    expect(all.at(-1)).toMatchObject({
      summary: { entries: 4 },
      observed: { days: 3, until_ms: NOW, rows: 4, ready: 3, left_out: 0, unproven: 0 },
    })
  })

  it.each([
    ['--only-findings', '--observed or --only-findings'],
    ['--trace=00000000000000000000000000000001', '--observed is of all traces'],
    ['--days=0', '--days: expected days'],
  ])('refuses %s beside it', async (option, message) => {
    const { stderr, code } = await kest([...AUDIT, option], { cwd: await folder({ 'spans.jsonl': '' }) })
    expect([stderr, code]).toEqual([expect.stringContaining(message), 2])
  })
})
