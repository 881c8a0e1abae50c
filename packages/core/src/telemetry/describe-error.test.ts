import { describe, expect, it } from 'vitest'
import { KestError } from '../errors.js'
import { describeError, stackOf } from './describe-error.js'

describe('describeError', () => {
  it('says what went wrong, and what underneath', () => {
    const cause = new Error('ECONNREFUSED 127.0.0.1:8181')
    const text = describeError(new KestError('ERR_KEST_ENGINE', 'the policy engine failed', { cause }))
    expect(text).toBe('the policy engine failed; cause: Error: ECONNREFUSED 127.0.0.1:8181')
  })

  it('names each address where a name has several', () => {
    const refused = ['::1', '127.0.0.1'].map((host) => new Error(`connect ECONNREFUSED ${host}:8181`))
    const text = describeError(Object.assign(new AggregateError(refused, 'none'), { message: '' }))
    expect(text).toBe('AggregateError: connect ECONNREFUSED ::1:8181, connect ECONNREFUSED 127.0.0.1:8181')
  })

  it('shows no data that an error has for its cause', () => {
    const cause = { claim: 'exp', payload: { sub: 'alice' } }
    expect(describeError(new Error('missing "exp"', { cause }))).toBe('Error: missing "exp"')
  })

  it('leaves the stack to who debugs: that of the innermost error that is not of Kest', () => {
    const inner = new TypeError('no row')
    const cause = new KestError('ERR_KEST_ENGINE', 'engine', { cause: inner })
    const stack = stackOf(new Error('outer', { cause }))
    expect(stack?.[0]).toBe('TypeError: no row')
    expect(stack?.[1]).toMatch(/^at /)
    expect([stackOf(new KestError('ERR_KEST_ENGINE', 'engine')), stackOf('text')]).toEqual([
      undefined,
      undefined,
    ])
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

  const throwing = {
    get() {
      throw new Error('not to be read')
    },
  }
  const unreadable: readonly (readonly [string, unknown])[] = [
    ['a message that throws', Object.defineProperty(new Error('x'), 'message', throwing)],
    ['a message that is no text', Object.assign(new Error('x'), { message: Symbol('x') })],
    ['a message that cannot be text', Object.assign(new Error('x'), { message: Object.create(null) })],
    ['a name that is no text', Object.assign(new Error('x'), { name: Symbol('x') })],
    [
      'errors that throw',
      Object.defineProperties(new Error('x'), { message: { value: '' }, errors: throwing }),
    ],
    ['nothing but traps', new Proxy(new Error('x'), throwing)],
    ['a prototype that throws', new Proxy({}, { getPrototypeOf: throwing.get })],
  ]

  it.each(unreadable)('never throws, whatever is thrown: %s', (_what, thrown) => {
    expect(describeError(thrown)).toBe('an error that cannot be read')
    expect(() => stackOf(thrown)).not.toThrow()
    const outer = new KestError('ERR_KEST_ENGINE', 'the policy engine failed', {
      cause: new Error('outer', { cause: thrown }),
    })
    expect(describeError(outer)).toMatch(/^the policy engine failed; cause: Error: outer/)
    expect(() => stackOf(outer)).not.toThrow()
  })

  it('says what it can of an error whose cause or stack throws', () => {
    const error = Object.defineProperties(new Error('x'), { cause: throwing, stack: throwing })
    expect(describeError(error)).toBe('Error: x')
    expect(stackOf(error)).toBeUndefined()
  })

  it('ends, also where an error is its own cause', () => {
    const error = new KestError('ERR_KEST_ENGINE', 'round')
    Object.defineProperty(error, 'cause', { value: error })
    expect(describeError(error)).toBe('round')
  })
})
