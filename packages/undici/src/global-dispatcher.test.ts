import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { globalDispatcher } from './global-dispatcher.js'

const slots = globalThis as { [slot: symbol]: unknown }
const [FIRST, SECOND] = [1, 2].map((n) => Symbol.for(`undici.globalDispatcher.${n}`)) as [symbol, symbol]
let before: readonly unknown[]

beforeEach(() => {
  before = [slots[FIRST], slots[SECOND]]
})
afterEach(() => {
  ;[slots[FIRST], slots[SECOND]] = before
})

const first = { onConnect() {}, onError() {} } as never
const second = { onRequestStart() {}, onResponseError() {} } as never
const options = {} as never

/** A dispatcher that notes when it is used. */
function named(name: string, used: string[], isMockActive?: boolean): unknown {
  return { dispatch: () => used.push(name) > 0, isMockActive }
}

describe('the global dispatcher', () => {
  it('is the one that the fetch of the handler’s generation would use', () => {
    const used: string[] = []
    slots[FIRST] = named('first', used)
    slots[SECOND] = named('second', used)
    globalDispatcher.dispatch(options, first)
    globalDispatcher.dispatch(options, second)
    expect(used).toEqual(['first', 'second'])
  })

  it('is the other one where there is only one', () => {
    const used: string[] = []
    slots[SECOND] = undefined
    slots[FIRST] = named('first', used)
    globalDispatcher.dispatch(options, second)
    slots[SECOND] = named('second', used)
    slots[FIRST] = undefined
    globalDispatcher.dispatch(options, first)
    expect(used).toEqual(['first', 'second'])
  })

  it('is missed with a code, where there is none', () => {
    slots[FIRST] = slots[SECOND] = undefined
    expect(() => globalDispatcher.dispatch(options, first)).toThrow(
      expect.objectContaining({ code: 'ERR_KEST_OUTBOUND' }),
    )
    expect(globalDispatcher.isMockActive).toBe(false)
  })

  it('is a mock where either is one', () => {
    for (const mock of [FIRST, SECOND]) {
      slots[FIRST] = named('first', [], mock === FIRST)
      slots[SECOND] = named('second', [], mock === SECOND)
      expect(globalDispatcher.isMockActive).toBe(true)
    }
  })
})
