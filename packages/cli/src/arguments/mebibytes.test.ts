import { describe, expect, it } from 'vitest'
import { parseMebibytes } from './mebibytes.js'
import { UsageError } from './usage-error.js'

describe('an amount of memory', () => {
  it('is whole MiB', () => {
    expect(parseMebibytes('memory', '64')).toBe(67_108_864)
    expect(parseMebibytes('memory', '1024')).toBe(1_073_741_824)
  })

  it.each(['', '0', '-1', '1.5', '64M', '1025', '1e3', ' 64'])('refuses %j', (value) => {
    expect(() => parseMebibytes('memory', value)).toThrow(UsageError)
  })
})
