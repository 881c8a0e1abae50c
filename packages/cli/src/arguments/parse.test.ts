import { describe, expect, it } from 'vitest'
import { parseArguments } from './parse.js'
import { UsageError } from './usage-error.js'

const OPTIONS = {
  json: { type: 'boolean', help: '' },
  trust: { type: 'string', value: 'FILE', help: '' },
  raisers: { type: 'string', multiple: true, value: 'LIST', help: '' },
  help: { type: 'boolean', short: 'h', help: '' },
} as const

describe('parseArguments', () => {
  it('reads options and files in any order', () => {
    const { values, positionals } = parseArguments(['a', '--trust', 't', '--json', '-', '--', '--b'], OPTIONS)
    expect({ ...values }).toEqual({ trust: 't', json: true })
    expect(positionals).toEqual(['a', '-', '--b'])
  })

  it('takes an option twice only where both count', () => {
    expect(parseArguments(['--raisers', 'a', '--raisers=b'], OPTIONS).values.raisers).toEqual(['a', 'b'])
    expect(() => parseArguments(['--trust', 'a', '--trust=b'], OPTIONS)).toThrow('--trust is given twice')
  })

  it.each([
    [['--jsn'], 'unknown option --jsn; did you mean --json?'],
    [['-h', '--trsut=x'], 'unknown option --trsut; did you mean --trust?'],
    [['--frobnicate'], /^unknown option --frobnicate$/],
    [['-x'], /^unknown option -x$/],
    [['--toString'], /^unknown option --toString$/],
    [['-trust', 'x'], 'unknown option -trust; did you mean --trust?'],
    [['--trust'], /^--trust: expected FILE after it$/],
    [['--trust', '--json'], '--trust: expected FILE, got "--json"; if that is meant, --trust=--json'],
    [['--json=yes'], '--json takes no value, got "yes"'],
  ])('refuses %j and says why', (argv, message) => {
    expect(() => parseArguments(argv, OPTIONS)).toThrow(UsageError)
    expect(() => parseArguments(argv, OPTIONS)).toThrow(message)
  })
})
