import { LABEL } from '@kest/core'
import { MockIdentityProvider } from '@kest/core/testing'
import { describe, expect, it } from 'vitest'
import { type MadeEntry, makeEntry, makeOutcome } from '../../audit/dist/testing/make-entry.js'
import { otlpLine, receiptOf, spanOf } from '../../audit/dist/testing/make-span.js'
import { folder, kest, lines } from './support/kest.js'
import { KEYS } from './support/spans.js'

const gateway = new MockIdentityProvider('gateway').current()
const orders = new MockIdentityProvider('orders').current()

/** gateway has called orders, holds what that recorded, and says so when it ends. */
async function spans(exported: boolean) {
  const first = makeEntry(gateway, [], { operation: 'gateway.list' })
  const second = makeEntry(orders, [first], {
    operation: 'orders.list',
    labels: { [LABEL.call]: 'A'.repeat(22) },
  })
  const end = makeOutcome(gateway, first, { labels: { [LABEL.receipts]: second.hash } })
  const made: MadeEntry[] = exported ? [first, second, end] : [first, end]
  const path = await folder({
    'keys.json': KEYS,
    'passport.json': [first.jws, end.jws],
    'spans.jsonl': [...made.map((one) => spanOf(one)), receiptOf(second)]
      .map((span) => `${otlpLine('gateway', [span])}\n`)
      .join(''),
  })
  const run = (...args: string[]) => kest(args, { cwd: path })
  return { run, first, second, end }
}

describe('kest', () => {
  it('K-RECEIPT graph draws receipts as edges of another kind, from what was recorded to who holds it', async () => {
    const { run } = await spans(true)
    const draw = async (format: string): Promise<string> =>
      (await run('graph', 'spans.jsonl', '--keys', 'keys.json', '-f', format)).stdout
    const dot = await draw('dot')
    expect(dot.match(/^ {2}n\d+ -> n\d+.*$/gm)?.filter((edge) => edge.includes('receipt'))).toHaveLength(1)
    expect(dot.match(/^ {2}n\d+ -> n\d+.*$/gm)).toHaveLength(3)
    expect(await draw('mermaid')).toMatch(/n\d+ -\. receipt \.-> n\d+/)
    expect((await draw('svg')).match(/class="edge receipt"/g)).toHaveLength(1)
    expect(await draw('html')).toContain('class="edge receipt"')
  })

  it('K-RECEIPT audit and graph show what only a neighbour has, and who that is', async () => {
    const { run, second } = await spans(false)
    const audited = await run('audit', 'spans.jsonl', '--keys', 'keys.json')
    expect(audited.code).toBe(1)
    expect(audited.stdout).toContain('receipt-without-span')
    expect(audited.stdout).toContain('spiffe://kest.test/gateway has signed that it holds entry')
    const [trace] = lines(await run('audit', 'spans.jsonl', '--keys', 'keys.json', '--json'))
    expect(trace).toMatchObject({
      verdict: 'incomplete',
      receipts: [{ hash: second.hash, principal: 'spiffe://kest.test/orders', exported: false }],
    })
    const { stdout } = await run('graph', 'spans.jsonl', '--keys', 'keys.json', '-f', 'dot')
    expect(stdout).toContain('held by spiffe://kest.test/gateway, as a receipt')
  })

  it('K-OUTCOME show says how an operation has ended, and which receipts it names', async () => {
    const { run, second } = await spans(true)
    const { stdout } = await run('show', 'passport.json')
    expect(stdout).toMatch(/outcome +succeeded/)
    expect(stdout).toContain(second.hash)
    const [trace] = lines(await run('audit', 'spans.jsonl', '--keys', 'keys.json', '--json'))
    const { entries } = trace as { readonly entries: readonly { readonly outcome_of?: string }[] }
    expect(entries.filter((one) => one.outcome_of !== undefined)).toHaveLength(1)
  })
})
