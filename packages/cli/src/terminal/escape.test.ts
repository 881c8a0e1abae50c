import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { jsonLine, visible, visibleList } from './escape.js'

const HARMFUL = /[\p{Cc}\p{Cf}\p{Cs}\p{Noncharacter_Code_Point}\p{Zl}\p{Zp}]|\u00a0|\u034f|\u3164/u
const anyText = fc.string({
  unit: fc.oneof(
    fc.string({ unit: 'binary', minLength: 1, maxLength: 1 }),
    fc.nat(0xffff).map((unit) => String.fromCharCode(unit)),
  ),
})

describe('visible', () => {
  it.each([
    ['\u001b[31mred', '\\u{1b}[31mred'],
    ['\u009b31m', '\\u{9b}31m'],
    ['a\r\nb\tc\u0000', 'a\\u{d}\\u{a}b\\u{9}c\\u{0}'],
    ['\u202egpj.exe', '\\u{202e}gpj.exe'],
    ['\u2066x\u2069', '\\u{2066}x\\u{2069}'],
    ['zero\u200bwidth\ufeff', 'zero\\u{200b}width\\u{feff}'],
    ['no\u00a0break', 'no\\u{a0}break'],
    ['line\u2028separator', 'line\\u{2028}separator'],
    ['lone \ud800', 'lone \\u{d800}'],
    ['tag \u{e0041}', 'tag \\u{e0041}'],
    ['blank\u2800braille', 'blank\\u{2800}braille'],
    ['en\u20ddclosed', 'en\\u{20dd}closed'],
    ['st\u0336ruck', 'st\\u{336}ruck'],
    ['no character \uffff\u{1fffe}', 'no character \\u{ffff}\\u{1fffe}'],
  ])('K-AUDIT escapes what does not show: %j', (text, expected) => {
    expect(visible(text)).toBe(expected)
  })

  it.each(['plain text', 'naïve', '漢字', '🦊', '"quoted" \\ back'])('leaves %j as it is', (text) => {
    expect(visible(text)).toBe(text)
  })

  it('K-AUDIT lets nothing through that a terminal might obey, whatever the text', () => {
    fc.assert(fc.property(anyText, (text) => !HARMFUL.test(visible(text))))
  })
})

describe('visibleList', () => {
  it('shows where each item ends', () => {
    expect(visibleList(['a', 'b'])).toBe('a, b')
    expect(visibleList(['a, b'])).toBe('"a, b"')
    expect(visibleList(['', 'say "hi"'])).toBe('"", "say \\"hi\\""')
  })
})

describe('jsonLine', () => {
  it('K-AUDIT is the same value on one line, without anything a terminal might obey', () => {
    fc.assert(
      fc.property(fc.dictionary(anyText, anyText), (value) => {
        const line = jsonLine(value)
        expect(line.endsWith('\n')).toBe(true)
        expect(line.slice(0, -1)).not.toMatch(HARMFUL)
        expect(JSON.parse(line)).toEqual(value)
      }),
    )
  })
})
