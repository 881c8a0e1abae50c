import { describe, expect, it } from 'vitest'
import type { PolicyContext } from './engine.js'
import { createFunctionEngine } from './function-engine.js'
import { toReason } from './reason.js'

describe('a reason', () => {
  it.each([[undefined], [null], [''], [7], [{}], [['no']]])('is none when it is %j', (words) => {
    expect(toReason(words)).toBeUndefined()
  })

  it('is kept as far as 1,024 characters, and no character in half', () => {
    expect(toReason('n'.repeat(1_024))).toBe('n'.repeat(1_024))
    expect(toReason('n'.repeat(1_025))).toBe(`${'n'.repeat(1_023)}…`)
    expect(toReason(`${'n'.repeat(1_022)}😀😀`)).toBe(`${'n'.repeat(1_022)}…`)
  })
})

describe('a function engine', () => {
  const engine = createFunctionEngine({
    silent: () => true,
    says: () => ({ allow: true, reason: 'owner' }),
    later: async () => ({ allow: true, reason: 'on call' }),
    no: () => ({ allow: false, reason: 'embargo' }),
  })
  it.each<[readonly string[], unknown]>([
    [['silent'], true],
    [['says'], { allow: true, reason: 'owner' }],
    [['says', 'silent', 'later'], { allow: true, reason: 'owner; on call' }],
    [['later', 'says'], { allow: true, reason: 'on call; owner' }],
    [['says', 'later', 'no'], { allow: false, reason: 'embargo' }],
    [['says', 'other'], { allow: false, reason: 'no policy "other"' }],
  ])('asked for %j says why each policy allowed, or one did not', async (policies, answer) => {
    const request = { entryId: 'id', policies, context: {} as PolicyContext }
    expect(await engine.evaluate(request, new AbortController())).toEqual(answer)
  })
})
