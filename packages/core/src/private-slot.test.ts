import { expect, test } from 'vitest'
import { createPrivateSlot } from './private-slot.js'

test('what is kept with an object is found by it, and can be replaced', () => {
  const slot = createPrivateSlot<object, string>()
  const owner = {}
  expect(slot.get(owner)).toBeUndefined()
  slot.set(owner, 'first')
  expect(slot.get(owner)).toBe('first')
  slot.set(owner, 'second')
  expect(slot.get(owner)).toBe('second')
})

test('one slot knows nothing of another, nor of what inherits from its owner', () => {
  const slot = createPrivateSlot<object, string>()
  const other = createPrivateSlot<object, string>()
  const owner = {}
  slot.set(owner, 'kept')
  expect(other.get(owner)).toBeUndefined()
  expect(slot.get(Object.create(owner) as object)).toBeUndefined()
  expect(slot.get({ ...owner })).toBeUndefined()
})

test('nobody else finds anything on the object, which stays what it was', () => {
  class Request {}
  const owner = new Request()
  const slot = createPrivateSlot<Request, string>()
  slot.set(owner, 'kept')
  expect(Reflect.ownKeys(owner)).toEqual([])
  expect(JSON.stringify(owner)).toBe('{}')
  expect(owner).toBeInstanceOf(Request)
  expect(Object.getPrototypeOf(owner)).toBe(Request.prototype)
})
