import { describe, expect, it } from 'vitest'
import { parseArguments } from './parse.js'
import { UsageError } from './usage-error.js'

const OPTIONS = {
  json: { type: 'boolean' },
  trust: { type: 'string' },
  raisers: { type: 'string', multiple: true },
  help: { type: 'boolean', short: 'h' },
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
    [['--trust'], /argument missing/],
    [['--trust', '--json'], /argument is ambiguous/],
    [['--json=yes'], /does not take an argument/],
  ])('refuses %j and says why', (argv, message) => {
    expect(() => parseArguments(argv, OPTIONS)).toThrow(UsageError)
    expect(() => parseArguments(argv, OPTIONS)).toThrow(message)
  })
})
