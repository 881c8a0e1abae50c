import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { isUnfinished, parseJson } from './parse-json.js'
import { NotJson, Unreadable } from './unreadable.js'

/** Quotes and backslashes beside each other, in texts around the length from which the system looks for their end. */
const text = fc
  .array(fc.constantFrom('"', '\\', '\\\\', ':', '{', '}', '[', 'é', 'x', 'x'.repeat(31)), { maxLength: 40 })
  .map((parts) => parts.join(''))
const value = fc.letrec<{ any: unknown }>((tie) => ({
  any: fc.oneof(
    { maxDepth: 4 },
    text,
    fc.integer(),
    fc.constantFrom(null, true),
    fc.array(tie('any'), { maxLength: 4 }),
    fc.dictionary(text, tie('any'), { maxKeys: 4 }),
  ),
})).any

describe('JSON of a stranger', () => {
  it('is what JSON.parse makes of it', () => {
    fc.assert(
      fc.property(value, fc.constantFrom(undefined, 1), (one, indent) => {
        const json = JSON.stringify(one, null, indent)
        expect(parseJson(Buffer.from(json))).toEqual(JSON.parse(json))
      }),
    )
  })

  it('is refused where an object has a member twice, wherever that is', () => {
    fc.assert(
      fc.property(text, value, value, (name, one, other) => {
        const member = (of: unknown): string => `${JSON.stringify(name)}:${JSON.stringify(of)}`
        const json = `[${JSON.stringify(one)},{"in":{${member(one)},${member(other)}}}]`
        expect(() => parseJson(Buffer.from(json))).toThrow(Unreadable)
        expect(() => parseJson(Buffer.from(json))).not.toThrow(NotJson)
      }),
    )
  })

  it('has no end wherever it is cut off', () => {
    fc.assert(
      fc.property(value, fc.nat(), (one, n) => {
        const json = Buffer.from(JSON.stringify([one]))
        const cut = json.subarray(0, 1 + (n % (json.length - 1)))
        expect(isUnfinished(cut)).toBe(true)
        expect(() => parseJson(cut)).toThrow(NotJson)
      }),
    )
  })
})
