import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { contextOf } from '../tests/support/requests.js'
import { EntityNames, type EntityTypes, formatUid } from './entity-types.js'
import { loadCedar } from './wasm/cedar.js'

describe('the entities of a question', () => {
  it('are the workload, the policy and the object', () => {
    const names = new EntityNames('test')
    const context = contextOf()
    expect(
      [names.principal(context), names.action('orders/read'), names.resource(context)].map(formatUid),
    ).toEqual(['Workload::"spiffe://kest.test/orders"', 'Action::"orders/read"', 'Resource::"order/7"'])
  })

  it('have the types that one gives them', () => {
    const names = new EntityNames('test', {
      principal: 'Shop::Service',
      action: 'Shop::Action',
      resource: 'Order',
    })
    const context = contextOf()
    expect(
      [names.principal(context), names.action('a'), names.resource(context)].map(({ type }) => type),
    ).toEqual(['Shop::Service', 'Shop::Action', 'Order'])
  })

  it.each<[EntityTypes, RegExp]>([
    [{ principal: 'Work load' }, /entityTypes\.principal: "Work load"/],
    [{ resource: '' }, /entityTypes\.resource/],
    [{ resource: 'A::' }, /entityTypes\.resource/],
    [{ action: 'Policy' }, /does not end with Action/],
    [{ user: 'User' } as EntityTypes, /unknown option "user"/],
  ])('refuses %j', (types, message) => {
    expect(() => new EntityNames('test', types)).toThrow(
      expect.objectContaining({ code: 'ERR_KEST_CONFIG', message: expect.stringMatching(message) }),
    )
  })

  it.each([
    ["o'brien", String.raw`R::"o\'brien"`],
    ['a"b\\c', String.raw`R::"a\"b\\c"`],
    ['\t\r\n\0\u007f', String.raw`R::"\t\r\n\0\u{7f}"`],
    ['\u200b\u00a0\ue000', String.raw`R::"\u{200b}\u{a0}\u{e000}"`],
    ['\u0301e\u0301', 'R::"\\u{301}e\u0301"'],
    [' é 😀 ', 'R::" é 😀 "'],
  ])('are written in the one spelling that an agent takes: %j', (id, text) => {
    expect(formatUid({ type: 'R', id })).toBe(text)
  })

  it('are written so that Cedar reads the same id, whatever it holds', async () => {
    const cedar = await loadCedar()
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (id) => {
        fc.pre(!/\p{Surrogate}/u.test(id))
        const text = `permit(principal == ${formatUid({ type: 'Workload', id })}, action, resource);`
        expect(cedar.policyToJson(text)).toMatchObject({
          json: { principal: { entity: { type: 'Workload', id } } },
        })
      }),
      { numRuns: 500 },
    )
  })
})
