import { describe, expect, it } from 'vitest'
import { createColors, wantsColors } from './colors.js'

describe('wantsColors', () => {
  it.each([
    [true, {}, true],
    [false, {}, false],
    [true, { TERM: 'dumb' }, false],
    [true, { NO_COLOR: '1' }, false],
    [true, { NO_COLOR: '' }, true],
    [false, { FORCE_COLOR: '1' }, true],
    [false, { FORCE_COLOR: '' }, true],
    [true, { FORCE_COLOR: '0' }, false],
    [true, { FORCE_COLOR: 'false' }, false],
    [false, { FORCE_COLOR: '1', NO_COLOR: '1' }, true],
  ])('on a terminal: %s, with %j: %s', (isTerminal, env, expected) => {
    expect(wantsColors(isTerminal, env)).toBe(expected)
  })
})

describe('createColors', () => {
  it('leaves the text alone without colours', () => {
    expect(createColors(false).red('x')).toBe('x')
  })

  it('ends what it began', () => {
    expect(createColors(true).red('x')).toBe('\u001b[31mx\u001b[39m')
  })
})
