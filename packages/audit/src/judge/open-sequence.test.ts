import { describe, expect, it } from 'vitest'
import { OpenSequence } from './open-sequence.js'

const PROCESS = '3f2b8c1e-0000-4000-8000-000000000001'
const RULES = { shared: [], maxDelayMs: 3_600_000 }

describe('the numbers of a process that goes on', () => {
  it('K-AUDIT are counted, and a finding, where more principals sign some than are held, also by who goes on from what is known', () => {
    let sequence = new OpenSequence({ what: 'entry', process: PROCESS, owners: [] }, RULES)
    const limits = (): string[] =>
      sequence.findings(() => 0, 20).flatMap(({ code, message }) => (code === 'limit' ? [message] : []))
    const add = (number: number, principal: string) =>
      sequence.add({ number, principal, timestampMs: 1, hash: 'a'.repeat(64), exported: true })
    for (let n = 1; n <= 16; n++) add(n, `spiffe://kest.test/${n}`)
    expect(limits()).toEqual([])
    for (const number of [17, 18]) expect(add(number, `spiffe://kest.test/${number}`)).toBeNull()
    sequence = new OpenSequence(JSON.parse(JSON.stringify(sequence.state)), RULES)
    add(19, 'spiffe://kest.test/17')
    expect(limits()).toEqual([expect.stringContaining('3 numbers were not judged')])
    // Those that are held are judged as ever.
    expect(add(1, 'spiffe://kest.test/1')).toMatchObject({ code: 'sequence-repeated' })
  })
})
