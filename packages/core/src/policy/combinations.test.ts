import { describe, expect, it } from 'vitest'
import { policyCombinations } from './combinations.js'

const soon = new Date(Date.now() + 86_400_000).toISOString()

function combinations(text: string | null, policies: readonly (readonly string[])[]) {
  return policyCombinations({
    ...(text === null ? {} : { deployment: { text, file: 'kest.yaml' } }),
    policies,
  })
}

describe('policyCombinations', () => {
  it('K-ASK puts the tiers of the deployment before those of each operation, and leaves out empty ones', () => {
    const text = 'policies: { enterprise: [e/a], platform: [p/a, p/b] }'
    expect(combinations(text, [['f/a'], ['f/b', 'f/c']])).toEqual([
      [['e/a'], ['p/a', 'p/b'], ['f/a']],
      [['e/a'], ['p/a', 'p/b'], ['f/b', 'f/c']],
    ])
    expect(combinations(null, [['f/a'], ['f/a']])).toEqual([[['f/a']]])
    expect(combinations(text, [])).toEqual([])
    // As an operation with this list asks it.
    expect(combinations(null, [['f/a', 'f/b', 'f/a']])).toEqual([[['f/a', 'f/b']]])
  })

  it('has each state of deviations and observations, in force and expired, whatever the time is', () => {
    const text = JSON.stringify({
      policies: { enterprise: ['e/a'], platform: ['p/a', 'p/b'] },
      deviations: [
        {
          ...{ policy: 'p/a', tier: 'platform', scope: { operation: 'refund' }, reason: 'r', approver: 'a' },
          expires: '2020-01-01T00:00:00Z',
        },
      ],
      observe: [
        {
          ...{ what: 'policy', policies: ['e/a'], scope: { operation: 'refund', workload: 'spiffe://a/b' } },
          ...{ reason: 'r', approver: 'a', expires: soon },
        },
      ],
    })
    expect(combinations(text, [['f/a']])).toEqual([
      [['e/a'], ['p/a', 'p/b'], ['f/a']],
      [['e/a'], ['p/b'], ['f/a']],
      [['p/b'], ['f/a']],
      [['p/a', 'p/b'], ['f/a']],
    ])
  })

  it('refuses a deployment file that does not hold, and one of too many states', () => {
    expect(() => combinations('policies: 1', [['f/a']])).toThrow(/kest\.yaml/)
    const many = Array.from({ length: 10_001 }, (_, i) => [`f/${i}`])
    expect(() => combinations(null, many)).toThrow(/10001 combinations/)
  })
})
