import { expect, it } from 'vitest'
import { KEST_ERROR_CODES, KestError } from '../errors.js'
import { remedyOf } from './remedy.js'

it('has an answer to every failure of what Kest depends on', () => {
  const failures = KEST_ERROR_CODES.map((code) => new KestError(code, 'it failed')).filter(
    ({ statusCode, code }) => statusCode === 503 && code !== 'ERR_KEST_ABORTED',
  )
  expect(failures.length).toBeGreaterThan(5)
  for (const failure of failures) expect(remedyOf(failure), failure.code).toMatch(/^look /)
})

it('has none where the message says it all, or for what is not of Kest', () => {
  expect(remedyOf(new KestError('ERR_KEST_BAGGAGE', 'a member twice'))).toBeUndefined()
  expect(remedyOf(new TypeError('no function'))).toBeUndefined()
})
