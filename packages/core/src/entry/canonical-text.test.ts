import canonicalizeOracle from 'canonicalize'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { failure } from '../../tests/support/signed.js'
import { parseCanonical } from './canonical-text.js'

const NESTING = 64

/** What the shortcut of the parser leaves out is asked of another implementation. */
function isCanonical(text: string): boolean {
  try {
    return (
      canonicalizeOracle(JSON.parse(text)) === text && !/\\u[dD][89a-fA-F]/.test(text.replaceAll('\\\\', ''))
    )
  } catch {
    return false
  }
}

function accepts(text: string): boolean {
  try {
    parseCanonical(text, NESTING)
    return true
  } catch {
    return false
  }
}

const name = fc.oneof(
  fc.string({ maxLength: 3 }),
  fc.constantFrom('a', 'b', 'B', '1', '10', '9', '__proto__', 'é', '€', '😀', '"', '\\', '\u0007', '\n', '/'),
)
/** What the other implementation is given by JSON.parse is not the text's where V8 misreads names. */
const ESCAPED_NAME = /\\[^"]*"+\s*:/
/** In names, escapes are a matter of their own. */
const plainName = name.filter((text) => !/["\\\p{Cc}]/u.test(text))
const value = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 3 },
    fc.constantFrom(null, true, false, 0, 1, -1, 10, 1e15, 999_999_999_999_999, 2 ** 53, 1e21, 0.5, 1e-7),
    fc.integer(),
    name,
    fc.array(tie('value'), { maxLength: 3 }),
    fc.dictionary(plainName, tie('value'), { maxKeys: 4 }),
  ),
})).value

/** Texts that say the same in another way, or nearly: the tokens of JSON, put together anyhow. */
const tokens = fc
  .array(
    fc.constantFrom(
      ...[
        '{',
        '}',
        '[',
        ']',
        ',',
        ':',
        '"a"',
        '"b"',
        '"1"',
        '"10"',
        '""',
        '0',
        '-0',
        '1',
        '-1',
        '10',
        '01',
        '1.0',
      ],
      ...[
        '1e2',
        '1E2',
        '1e+30',
        '1e30',
        '100',
        '1234567890123456',
        '12345678901234567890',
        'true',
        'null',
        ' ',
        '\n',
      ],
      ...[
        '"\\/"',
        '"\\u0061"',
        '"\\u001F"',
        '"\\u001f"',
        '"\\b"',
        '"\\u0008"',
        '"\\\\ud800"',
        '"\\ud800"',
        '"😀"',
      ],
      ...[
        '"\\ud83d\\ude00"',
        '{"a":1,',
        '"a":1,',
        '"b":2}',
        '{"a":1,"a":1}',
        '{"b":1,"a":2}',
        '{"9":1,"10":2}',
      ],
      ...['{"10":2,"9":1}', '{"__proto__":1}'],
    ),
    { maxLength: 8 },
  )
  .map((parts) => parts.join(''))

describe('parseCanonical', () => {
  it('K-STRICT accepts the canonical text of any value, and gives the value back', () => {
    fc.assert(
      fc.property(value, (any) => {
        const text = canonicalizeOracle(any) as string
        expect(parseCanonical(text, NESTING)).toEqual(JSON.parse(text))
      }),
      { numRuns: 2000 },
    )
  })

  it('K-STRICT never takes a name with an escape for another one', () => {
    // In this order some V8 reads the second name as the first.
    const texts = ['{"a":1,"\\n":2,"\\\\":3}', '{"a":1,"\\n":2,"\\"":3}', '{"\\t":1}', '{"\\n":1}']
    for (let round = 0; round < 100; round++) {
      for (const text of texts) {
        let value: unknown
        try {
          value = parseCanonical(text, NESTING)
        } catch {
          continue
        }
        expect(canonicalizeOracle(value)).toBe(text)
      }
    }
  })

  it('K-STRICT accepts a text exactly if another implementation would write it so', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          tokens,
          value.map((any) => JSON.stringify(any)),
        ),
        (text) => {
          fc.pre(!ESCAPED_NAME.test(text))
          expect(accepts(text)).toBe(isCanonical(text))
        },
      ),
      { numRuns: 20_000 },
    )
  })

  it('K-STRICT refuses a canonical text in which one character was put in, taken out or changed, unless it is canonical again', () => {
    const base = '{"":[],"10":"\\"\\\\é","9":{"__proto__":-10},"a":[true,null,0.5,1e+30],"b":"\\u0001\\n"}'
    expect(accepts(base)).toBe(true)
    const others = [...' \t{}[]:,"\\/019-+.eEabdu\u0001é']
    for (let at = 0; at <= base.length; at++) {
      for (const other of ['', ...others]) {
        for (const length of [0, 1]) {
          const text = base.slice(0, at) + other + base.slice(at + length)
          if (!ESCAPED_NAME.test(text)) expect(accepts(text), text).toBe(isCanonical(text))
        }
      }
    }
  })

  it.each([
    ['a second member of a name', '{"a":1,"a":1}'],
    ['a second member of a name, with as much white space as would hide it', '{"a":1, "b":2}'],
    ['members out of order', '{"b":1,"a":1}'],
    ['names that look like numbers, in the order of numbers', '{"9":1,"10":1}'],
    ['names that look like numbers, which objects put in order by themselves', '{"2":1,"1":1}'],
    ['a name that looks like a number, which objects put first by themselves', '{"a":1,"1":2}'],
    ['minus zero', '-0'],
    ['an exponent', '1e2'],
    ['a number of two numbers’ length', '12345678901234567'],
    ['an escape that is not needed', '"\\u0061"'],
    ['an upper-case escape', '"\\u001F"'],
    ['a lone surrogate, escaped', '"\\ud800"'],
    ['a byte order mark', '\ufeff{}'],
  ])('K-STRICT refuses %s', async (_, text) => {
    const { code } = await failure(() => parseCanonical(text, NESTING))
    expect(['ERR_KEST_ENTRY_NOT_CANONICAL', 'ERR_KEST_ENTRY_MALFORMED']).toContain(code)
  })

  it('freezes to the last member', () => {
    const parsed = parseCanonical('{"a":[{"b":{}}]}', NESTING) as { a: [{ b: object }] }
    for (const part of [parsed, parsed.a, parsed.a[0], parsed.a[0].b])
      expect(Object.isFrozen(part)).toBe(true)
  })

  it('K-STRICT counts no member that somebody put on Object.prototype, nor takes it over', () => {
    Object.assign(Object.prototype, { polluted: [] })
    try {
      const value = parseCanonical('{"a":[],"z":{}}', NESTING)
      expect([Object.keys(value as object), Object.isFrozen((value as { a: unknown }).a)]).toEqual([
        ['a', 'z'],
        true,
      ])
      expect(accepts('{"a":1,"a":1,"polluted":[]}')).toBe(false)
      // As long as its value's text, if that had the member.
      expect(accepts('{"a":1,                "z":2}')).toBe(false)
    } finally {
      delete (Object.prototype as { polluted?: unknown }).polluted
    }
  })

  it('K-LIMIT refuses what is nested deeper than allowed, and is not overwhelmed by it', async () => {
    const nested = (depth: number): string => '['.repeat(depth) + ']'.repeat(depth)
    expect(accepts(nested(64))).toBe(true)
    expect((await failure(() => parseCanonical(nested(65), NESTING))).code).toBe('ERR_KEST_LIMIT')
    expect((await failure(() => parseCanonical(nested(500_000), NESTING))).code).toBe('ERR_KEST_LIMIT')
  })

  it('takes time in proportion to the length, also for what nearly holds', () => {
    for (const part of ['"', '"\\', '\\', '1', '""', '"a\\n', '[1,', '{"a":']) {
      const started = process.cpuUsage()
      accepts(part.repeat(200_000 / part.length))
      accepts(`["${part.replaceAll(/["\\]/g, 'x').repeat(100_000)}"`)
      expect(process.cpuUsage(started).user).toBeLessThan(2_000_000)
    }
  })
})
