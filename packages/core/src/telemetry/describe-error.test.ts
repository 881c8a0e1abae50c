import { describe, expect, it } from 'vitest'
import { KestError } from '../errors.js'
import { describeError } from './describe-error.js'

describe('describeError', () => {
  it('says what went wrong, and what underneath', () => {
    const cause = new Error('ECONNREFUSED 127.0.0.1:8181')
    const text = describeError(new KestError('ERR_KEST_ENGINE', 'the policy engine failed', { cause }))
    expect(text).toMatch(/^the policy engine failed; cause: Error: ECONNREFUSED 127\.0\.0\.1:8181\n +at /)
  })

  it.each([
    ['nothing', undefined, 'undefined'],
    ['a text', 'oops', "'oops'"],
    ['an object without a prototype', Object.create(null), '[Object: null prototype] {}'],
    [
      'an object that cannot be shown',
      {
        toString() {
          throw new Error('no')
        },
      },
      '{ toString: [Function: toString] }',
    ],
  ])('describes %s', (_what, thrown, text) => {
    expect(describeError(thrown)).toBe(text)
  })

  it('ends, also where an error is its own cause', () => {
    const error = new KestError('ERR_KEST_ENGINE', 'round')
    Object.defineProperty(error, 'cause', { value: error })
    expect(describeError(error).split('; cause: ')).toHaveLength(9)
  })
})
