import { describe, expect, it } from 'vitest'
import { assertOptions } from './assert-options.js'
import { KestConfigError } from './errors.js'

describe('assertOptions', () => {
  it.each<[string, unknown]>([
    ['a map', new Map([['required', true]])],
    ['a set', new Set(['required'])],
    ['a promise that nobody awaited', Promise.resolve({ required: true })],
    ['a list', [{ required: true }]],
    ['null', null],
  ])('refuses %s, of which no option would be read', (_, options) => {
    expect(() => assertOptions('check', options, ['required'])).toThrow(KestConfigError)
  })

  it('takes an object of any kind that has options as members', () => {
    const own = Object.assign(Object.create(null), { required: true })
    for (const options of [{ required: true }, own, Object.freeze({})])
      expect(() => assertOptions('check', options, ['required'])).not.toThrow()
  })
})
