import { expect, it } from 'vitest'
import { KestConfigError, KestError, PassportVerificationError, PolicyDeniedError } from './errors.js'

const config = new KestConfigError('wrong')
const denied = new PolicyDeniedError('ERR_KEST_DENIED', { policies: ['a'], entryId: 'e' })
const broken = new PassportVerificationError('ERR_KEST_SIGNATURE', 'no')

it('instanceof tells each class of error from the others', () => {
  const classes = [KestError, KestConfigError, PolicyDeniedError, PassportVerificationError]
  const answers = [new KestError('ERR_KEST_DENIED', 'no'), config, denied, broken].map((error) =>
    classes.map((type) => error instanceof type),
  )
  expect(answers).toEqual([
    [true, false, false, false],
    [true, true, false, false],
    [true, false, true, false],
    [true, false, false, true],
  ])
  for (const stranger of [null, undefined, 'KestError', new Error('no'), { name: 'PolicyDeniedError' }]) {
    expect(stranger instanceof KestError).toBe(false)
    expect(stranger instanceof PolicyDeniedError).toBe(false)
  }
})

it('instanceof goes by no name: minifiers change those of classes, and applications those of errors', () => {
  const renamed = Object.assign(new PolicyDeniedError('ERR_KEST_DENIED', { policies: [], entryId: 'e' }), {
    name: 'Error',
  })
  expect(renamed instanceof PolicyDeniedError).toBe(true)
  const named = Object.assign(new KestError('ERR_KEST_DENIED', 'no'), { name: 'PolicyDeniedError' })
  expect(named instanceof PolicyDeniedError).toBe(false)
})

it('a class that an application derives knows its own errors alone', () => {
  class Own extends PolicyDeniedError {}
  const own = new Own('ERR_KEST_DENIED', { policies: [], entryId: 'e' })
  expect([own instanceof Own, own instanceof PolicyDeniedError, own instanceof KestError]).toEqual([
    true,
    true,
    true,
  ])
  expect([denied instanceof Own, config instanceof Own]).toEqual([false, false])
})

it('errors of another copy of the package are known', async () => {
  const copy = (await import(`${'./errors.js'}?copy`)) as typeof import('./errors.js')
  const theirs = new copy.PassportVerificationError('ERR_KEST_TIP', 'cut')
  expect(copy.KestError).not.toBe(KestError)
  expect(theirs instanceof PassportVerificationError).toBe(true)
  expect(theirs instanceof KestError).toBe(true)
  expect(theirs instanceof PolicyDeniedError).toBe(false)
})
