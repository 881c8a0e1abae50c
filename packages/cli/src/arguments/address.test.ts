import { describe, expect, it } from 'vitest'
import { parseAddress } from './address.js'
import { UsageError } from './usage-error.js'

describe('parseAddress', () => {
  it.each([
    ['4318', { host: '127.0.0.1', port: 4318 }],
    ['0', { host: '127.0.0.1', port: 0 }],
    ['0.0.0.0:4318', { host: '0.0.0.0', port: 4318 }],
    ['localhost:80', { host: 'localhost', port: 80 }],
    ['[::1]:65535', { host: '::1', port: 65_535 }],
  ])('reads %s', (value, address) => {
    expect(parseAddress('listen', value)).toEqual(address)
  })

  it.each(['', ':4318', '::1:4318', '65536', 'localhost', 'a b:1', '4318/', '-1', '1.5'])(
    'refuses "%s"',
    (value) => {
      expect(() => parseAddress('listen', value)).toThrow(UsageError)
    },
  )
})
