import { defaultTextMapGetter, defaultTextMapSetter, propagation, ROOT_CONTEXT } from '@opentelemetry/api'
import { W3CBaggagePropagator } from '@opentelemetry/core'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { KestError } from '../errors.js'
import { type EncodedMember, encodeValue, formatBaggage, parseBaggage, stripKest } from './baggage.js'
import { resemblesKest } from './kest-key.js'

const JWS = '["a.b.c","d-_.e.f"]'

function codeOf(lines: string | readonly string[], maxLength?: number): string {
  try {
    parseBaggage(lines, maxLength === undefined ? {} : { maxLength })
  } catch (error) {
    if (error instanceof KestError) return error.code
    throw error
  }
  return 'none'
}

describe('parseBaggage', () => {
  it('NF-INTER-02 reads percent-encoded members, and hands on those of others exactly as written', () => {
    const header = `a=1;p=%20;q , kest.passport=${encodeURIComponent(JWS)},b = "x"%zz ,nonsense,kest.user=J%C3%B6rg`
    const { kest, foreign } = parseBaggage(header)
    expect([...kest]).toEqual([
      ['kest.passport', JWS],
      ['kest.user', 'Jörg'],
    ])
    expect(foreign).toEqual(['a=1;p=%20;q', 'b = "x"%zz', 'nonsense'])
  })

  it('reads nothing out of nothing', () => {
    for (const lines of [undefined, '', [], ['', ''], ' , ,\t,']) {
      expect(parseBaggage(lines)).toEqual({ kest: new Map(), foreign: [] })
    }
  })

  it('K-ONE joins all lines before it parses them', () => {
    const { kest, foreign } = parseBaggage(['kest.passport=["a.b.c"', '"d.e.f"],x=1'])
    expect(kest.get('kest.passport')).toBe('["a.b.c","d.e.f"]')
    expect(foreign).toEqual(['x=1'])
    expect(codeOf(['kest.user=alice', 'x=1,kest.user=mallory'])).toBe('ERR_KEST_BAGGAGE')
  })

  it('K-ONE accepts the same value twice, however encoded, and refuses two values', () => {
    expect(parseBaggage('kest.user=alice,kest.user=%61lice').kest.get('kest.user')).toBe('alice')
    expect(codeOf('kest.user=alice,kest.user=Alice')).toBe('ERR_KEST_BAGGAGE')
    expect(codeOf('kest.user=,kest.user=alice')).toBe('ERR_KEST_BAGGAGE')
  })

  it.each([
    'kest%2Epassport=x',
    '%6b%65%73%74.user=x',
    '%256best.user=x',
    '%25%36best.user=x',
    'KEST.user=x',
    'KEST.passport=["a.b.c"]',
    'Kest.User=x',
    'kest.User=x',
    'kest.us%65r=x',
    'kest .user=x',
    'k\test.user=x',
    '%20kest.user=x',
    '\u00a0kest.user=x',
    '\ufeffkest.user=x',
    '%E2%80%8Bkest.user=x',
    '%00kest.user=x',
    'kest.=x',
    'kest.user%20=x',
  ])('K-ONE refuses the key of %j, which some reader takes for ours', (header) => {
    expect(codeOf(header)).toBe('ERR_KEST_BAGGAGE')
    expect(codeOf(`a=1,${header}`)).toBe('ERR_KEST_BAGGAGE')
  })

  it.each([
    'kest=x',
    'kests.user=x',
    'akest.user=x',
    'kest_user=x',
    'a;kest.user=x',
    'a=kest.user=x',
    '%zzkest.=x',
  ])('leaves %j alone', (header) => {
    expect(parseBaggage(header)).toEqual({ kest: new Map(), foreign: [header] })
  })

  it.each([
    ['bad escape', 'kest.user=%zz'],
    ['cut escape', 'kest.user=a%4'],
    ['invalid UTF-8', 'kest.user=%ff%fe'],
    ['overlong UTF-8', 'kest.user=%c0%ae'],
    ['UTF-8 of a surrogate', 'kest.user=%ed%a0%80'],
    ['unencoded UTF-8', 'kest.user=JÃ¶rg'],
    ['control character', 'kest.user=a\u0000b'],
    ['property', 'kest.user=alice;role=admin'],
    ['no value', 'kest.user'],
    ['property only', 'kest.user;a=b'],
  ])('refuses a member of ours with a %s, and only a member of ours', (_, header) => {
    expect(codeOf(header)).toBe('ERR_KEST_BAGGAGE')
    const foreign = header.replaceAll('kest.', 'best.')
    expect(parseBaggage(foreign).foreign).toEqual([foreign])
  })

  it('K-RAW reads an unencoded passport up to its closing bracket', () => {
    const { kest, foreign } = parseBaggage(
      'a=1, kest.passport = ["a.b.c", "d-_.e.f"] , kest.chain_tip=00,c=3',
    )
    expect(kest.get('kest.passport')).toBe('["a.b.c", "d-_.e.f"]')
    expect(kest.get('kest.chain_tip')).toBe('00')
    expect(foreign).toEqual(['a=1', 'c=3'])
  })

  it.each([
    ['unclosed', 'kest.passport=["a.b.c","d.e.f"'],
    ['unclosed before another member', 'kest.passport=["a.b.c",x=1]'],
    ['followed by text', 'kest.passport=["a.b.c"]x'],
    ['followed by a property', 'kest.passport=["a.b.c"];p'],
    ['with an escape', 'kest.passport=["a.b%2Ec"]'],
    ['with a nested array', 'kest.passport=[["a.b.c"]]'],
    ['with a semicolon', 'kest.passport=["a;b"]'],
    ['with a tab', 'kest.passport=["a",\t"b"]'],
  ])('K-RAW refuses an unencoded passport %s', (_, header) => {
    expect(codeOf(header)).toBe('ERR_KEST_BAGGAGE')
  })

  it('K-JWT never reads a token from the wire', () => {
    expect(parseBaggage('kest.jwt=abc,kest.jwt=def,x=1')).toEqual({ kest: new Map(), foreign: ['x=1'] })
  })

  it('K-LIMIT refuses a header that is too long, all lines together, before it looks at it', () => {
    expect(codeOf('a=1,b=2', 7)).toBe('none')
    expect(codeOf('a=1,b=2', 6)).toBe('ERR_KEST_LIMIT')
    expect(codeOf(['a=1', 'b=2'], 7)).toBe('none')
    expect(codeOf(['a=1', 'b=2'], 6)).toBe('ERR_KEST_LIMIT')
    expect(codeOf('kest.user=%zz'.padEnd(16_385))).toBe('ERR_KEST_LIMIT')
    expect(codeOf('a'.repeat(16_384))).toBe('none')
  })

  it('refuses what is not text', () => {
    for (const lines of [null, 7, ['a=1', null], [['a=1']], {}]) {
      expect(codeOf(lines as unknown as string)).toBe('ERR_KEST_BAGGAGE')
    }
  })

  it('throws nothing but KestError, whatever the header', () => {
    fc.assert(
      fc.property(headers, (header) => {
        expect(codeOf(header)).toBeOneOf(['none', 'ERR_KEST_BAGGAGE'])
      }),
      { numRuns: 2000 },
    )
  })

  it.each([
    ['commas', ','.repeat(10_000_000)],
    ['percent signs', '%'.repeat(10_000_000)],
    ['escaped percent signs in a key', `${'%25'.repeat(3_000_000)}=1`],
    ['a key of nested escapes', `%${'25'.repeat(5_000_000)}=1`],
    ['spaces', ' '.repeat(10_000_000)],
    ['spaces in a member', `a${' '.repeat(10_000_000)}b=1`],
    ['members of ours', 'kest.user=a,'.repeat(800_000)],
    ['small members of others', 'a=1,'.repeat(2_500_000)],
    ['unclosed arrays', 'kest.passport=[,'.repeat(600_000)],
    ['one unclosed array', `kest.passport=[${',"a"'.repeat(2_500_000)}`],
    ['unclosed arrays of fragments', 'kest.x=["a","b",'.repeat(600_000)],
    ['equals signs', '='.repeat(10_000_000)],
  ])('judges ten megabytes of %s in linear time', (_, header) => {
    const started = process.cpuUsage()
    codeOf(header, 20_000_000)
    stripKest(header)
    expect(process.cpuUsage(started).user).toBeLessThan(8_000_000)
  })
})

describe('stripKest', () => {
  it('K-EDGE removes and counts every member of ours, however spelled or malformed', () => {
    const header =
      'a=1,kest.user=%zz,KEST.passport=x,b=2;kest.user,kest%2ejwt=t, kest.passport=["x.y.z", "u"],kest.hop,c'
    expect(stripKest(header)).toEqual({ foreign: ['a=1', 'b=2;kest.user', 'c'], removed: 5 })
    expect(stripKest(undefined)).toEqual({ foreign: [], removed: 0 })
  })

  it.each([
    ['a plus sign, which Python reads as a space', '+kest.user'],
    ['an escaped plus sign', '%2Bkest.user'],
    ['a space of UTF-8, as Node hands its bytes on', '\u00c2\u00a0kest.user'],
    ['a wide one', '\u00e3\u0080\u0080kest.user'],
    ['half of it escaped', '%C2\u00a0kest.user'],
    ['a wide one, as text', '\u3000kest.user'],
  ])('K-EDGE K-ONE takes a key for ours that begins with %s', (_, key) => {
    expect(stripKest(`${key}=mallory,a=1`)).toEqual({ foreign: ['a=1'], removed: 1 })
    expect(codeOf(`${key}=mallory,a=1`)).toBe('ERR_KEST_BAGGAGE')
  })

  it('K-LIMIT K-EDGE takes for ours what only decoding tells from it, beyond so many in one header', () => {
    const foreign = Array.from({ length: 64 }, (_, i) => `%C3%A9${i}=1`)
    expect(stripKest(foreign)).toEqual({ foreign, removed: 0 })
    expect(stripKest([...foreign, 'a=1', '%C3%A9=1', 'b=1'])).toEqual({
      foreign: [...foreign, 'a=1', 'b=1'],
      removed: 1,
    })
    expect(codeOf([...foreign, '%C3%A9=1'])).toBe('ERR_KEST_BAGGAGE')
  })

  it('takes a key for ours whenever it is when all that can be decoded was', () => {
    const pieces = [
      '%',
      '2',
      '5',
      '6',
      'b',
      'B',
      '%25',
      '%6b',
      '%36',
      '+',
      ' ',
      'k',
      'K',
      'est.',
      '%80',
      '%20',
    ]
    const key = fc
      .array(fc.constantFrom(...pieces), { maxLength: 7 })
      .map((parts) => `${parts.join('')}est.x`)
    fc.assert(
      fc.property(key, (text) => {
        const decoded = fullyDecoded(text).replaceAll(/[ +]/g, '')
        expect(resemblesKest(text)).toBe(decoded.toLowerCase().startsWith('kest.'))
      }),
      { numRuns: 5000 },
    )
  })

  it('leaves keys of others that only look foreign', () => {
    const others = ['a+b=1', 'kestrel=1', '+=1', '\u00c3\u00a9t\u00c3\u00a9=1', 'é=1', '%C3%A9=1']
    expect(stripKest(others).foreign).toEqual(others)
  })

  it.each([
    ['unclosed', 'kest.passport=["aa.bb.cc","dd.ee.ff",b=2'],
    ['unclosed, at the end', 'b=2,kest.passport=["aa.bb.cc", "dd.ee.ff"'],
    ['with characters it may not have', 'kest.passport=["aa;bb","dd!ee"],b=2'],
    ['spelled otherwise', 'KEST.passport=["aa.bb.cc","dd.ee.ff"],b=2'],
    ['followed by text', 'kest.passport=["aa.bb.cc","dd"]ee,b=2'],
  ])('K-SCOPE leaves no fragment of an unencoded passport that is %s', (_, header) => {
    expect(stripKest(header).foreign).toEqual(['b=2'])
  })

  it('never throws, leaves nothing that resembles our keys, and alters nothing else', () => {
    fc.assert(
      fc.property(headers, (header) => {
        const { foreign } = stripKest(header)
        for (const member of foreign) expect(resemblesKest(member.split(/[=;]/)[0] as string)).toBe(false)
        expect(stripKest(foreign)).toEqual({ foreign, removed: 0 })
        expect(parseBaggage(foreign)).toEqual({ kest: new Map(), foreign })
      }),
      { numRuns: 2000 },
    )
  })
})

describe('formatBaggage', () => {
  it('writes nothing when there is nothing', () => {
    expect(formatBaggage([], [])).toBeUndefined()
  })

  it('round-trips any values beside any members of others', () => {
    fc.assert(
      fc.property(fc.array(foreignMember), kestMembers, (foreign, values) => {
        const members = values.map(([key, value]): EncodedMember => [key, encodeValue(value)])
        const parsed = parseBaggage(formatBaggage(foreign, members), { maxLength: 1_000_000 })
        expect([...parsed.kest]).toEqual(values)
        expect(parsed.foreign).toEqual(foreign)
      }),
    )
  })

  it('refuses a value that has no UTF-8', () => {
    expect(() => encodeValue('\ud800')).toThrow(expect.objectContaining({ code: 'ERR_KEST_NOT_JSON' }))
  })
})

describe('beside the OpenTelemetry propagator', () => {
  const propagator = new W3CBaggagePropagator()

  it('NF-INTER-02 what we write it reads whole, however many members of others there are', () => {
    fc.assert(
      fc.property(fc.array(plainMember, { maxLength: 400 }), kestMembers, (foreign, values) => {
        const members = values.map(([key, value]): EncodedMember => [key, encodeValue(value)])
        const baggage = formatBaggage(foreign, members)
        fc.pre(baggage !== undefined && baggage.length <= 8192)
        const context = propagator.extract(ROOT_CONTEXT, { baggage }, defaultTextMapGetter)
        for (const [key, value] of values) {
          if (value !== '') expect(propagation.getBaggage(context)?.getEntry(key)?.value).toBe(value)
        }
      }),
    )
  })

  it('NF-INTER-02 what it writes we read', () => {
    fc.assert(
      fc.property(kestMembers, fc.dictionary(token, fc.string()), (values, others) => {
        const entries = [...Object.entries(others), ...values].map(
          ([key, value]) => [key, { value }] as const,
        )
        const baggage = propagation.createBaggage(Object.fromEntries(entries))
        const carrier: Record<string, string> = {}
        propagator.inject(propagation.setBaggage(ROOT_CONTEXT, baggage), carrier, defaultTextMapSetter)
        const { kest } = parseBaggage(carrier['baggage'])
        expect(Object.fromEntries(kest)).toEqual(Object.fromEntries(values))
      }),
    )
  })
})

function fullyDecoded(text: string): string {
  const decoded = text.replace(/%([0-9a-f]{2})/i, (_, digits) =>
    String.fromCharCode(Number.parseInt(digits, 16)),
  )
  return decoded === text ? text : fullyDecoded(decoded)
}

const token = fc.stringMatching(/^[a-j][a-z0-9_-]{0,8}$/)
const plainMember = fc
  .tuple(token, fc.stringMatching(/^[a-z0-9%.]{0,12}$/))
  .map(([key, value]) => `${key}=${value}`)
/** What stands between two commas, and is not ours. */
const foreignMember = fc
  .oneof(
    plainMember,
    fc.string({ unit: 'binary' }),
    fc.constantFrom('a=1;p=2;q', 'a', '=', ';', 'a=%', '"', '[', 'a=["x"]'),
  )
  .map((text) => text.replaceAll(',', '').replace(/^[ \t]+|[ \t]+$/g, ''))
  .filter((text) => text !== '' && !resemblesKest(text.split(/[=;]/)[0] as string))
const kestMembers = fc.uniqueArray(
  fc.tuple(
    fc.constantFrom(
      'kest.passport',
      'kest.passport_z',
      'kest.chain_tip',
      'kest.user',
      'kest.agent',
      'kest.task',
    ),
    fc.string({ unit: 'grapheme', maxLength: 200 }),
  ),
  { selector: ([key]) => key },
)
const piece = fc.constantFrom(
  ...[
    'kest.passport',
    'kest.user',
    'kest.',
    'KEST.x',
    'kest%2E',
    '%6best.',
    '=',
    ',',
    ';',
    '[',
    ']',
    '"',
    ' ',
    '\t',
    '%',
  ],
  ...['%25', '%zz', '%ff', 'a', 'a.b.c', '["a.b.c", "d"]', '\u0000', 'é', '\ud800', '\u2028'],
)
const headers = fc.oneof(
  fc.array(piece, { maxLength: 40 }).map((pieces) => pieces.join('')),
  fc.string({ unit: 'binary', maxLength: 200 }),
)
