import { describe, expect, it } from 'vitest'
import { leafOf, signerOf } from '../../tests/support/certificates.js'
import { parseCertificate } from './certificate.js'

const SHORT = /\d{12}Z/g
const LONG = /\d{14}Z/g

function withTimes(pattern: RegExp, time: string, change: Parameters<typeof leafOf>[2] = {}): Buffer {
  const der = Buffer.from(leafOf(signerOf('root'), {}, change))
  return Buffer.from(der.toString('latin1').replaceAll(pattern, time), 'latin1')
}

describe('times of a certificate', () => {
  const far = { notBefore: Date.UTC(2050, 1, 1), notAfter: Date.UTC(2051, 1, 1) }

  it.each(['260131120000Z', '491231235959Z', '500101000000Z', '280229000000Z'])('reads %s', (time) => {
    expect(parseCertificate(withTimes(SHORT, time)).notAfter).not.toBeNaN()
  })

  it.each(['20500131120000Z', '20520229235959Z', '99991231235959Z'])('reads %s', (time) => {
    expect(parseCertificate(withTimes(LONG, time, far)).notAfter).not.toBeNaN()
  })

  it.each([
    '269999999999Z',
    '260230000000Z',
    '270229000000Z',
    '260001000000Z',
    '260100000000Z',
    '261301000000Z',
    '260101240000Z',
    '260101006000Z',
    '260101000060Z',
  ])('%s is no time, and rolls over to no other', (time) => {
    expect(() => parseCertificate(withTimes(SHORT, time))).toThrow(/malformed|cannot be read/)
  })

  it.each(['20269999999999Z', '20510229000000Z', '00500101000000Z'])(
    '%s is no time, and rolls over to no other',
    (time) => {
      expect(() => parseCertificate(withTimes(LONG, time, far))).toThrow(/malformed|cannot be read/)
    },
  )
})
