import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { countMembers, countParsedMembers } from './json-members.js'

describe('members of a JSON text', () => {
  it.each<[string, number]>([
    ['{}', 0],
    ['"a:b"', 0],
    ['{"a":1,"a":2}', 2],
    ['{"a" \t\n\r:{"b":["c",{"d":"\\":"}]}}', 3],
    ['{"\\\\":"\\\\","\\"":":"}', 2],
    ['["\\"a\\":", "x"]', 0],
  ])('are counted as written: %s', (text, count) => {
    expect(countMembers(text)).toBe(count)
  })

  it('are as many as those of the value, when none occurs twice', () => {
    const text = fc
      .tuple(fc.jsonValue(), fc.constantFrom(undefined, 1, '\t'))
      .map(([value, space]) => JSON.stringify(value, undefined, space))
    fc.assert(
      fc.property(text, (json) => {
        expect(countMembers(json)).toBe(countParsedMembers(JSON.parse(json), 100))
      }),
      { numRuns: 1000 },
    )
  })
})
