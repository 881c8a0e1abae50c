import {
  type Context,
  defaultTextMapGetter,
  defaultTextMapSetter,
  propagation,
  ROOT_CONTEXT,
  type TextMapPropagator,
} from '@opentelemetry/api'
import { CompositePropagator, W3CBaggagePropagator, W3CTraceContextPropagator } from '@opentelemetry/core'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { resemblesKest } from './kest-key.js'
import { filterKestBaggage, withoutKestBaggage } from './propagator.js'

function contextOf(entries: Readonly<Record<string, string>>): Context {
  const list = Object.entries(entries).map(([key, value]) => [key, { value }] as const)
  return propagation.setBaggage(ROOT_CONTEXT, propagation.createBaggage(Object.fromEntries(list)))
}

function keysOf(context: Context): string[] | undefined {
  return propagation
    .getBaggage(context)
    ?.getAllEntries()
    .map(([key]) => key)
}

function inject(propagator: TextMapPropagator, context: Context): Record<string, string> {
  const carrier: Record<string, string> = {}
  propagator.inject(context, carrier, defaultTextMapSetter)
  return carrier
}

describe('withoutKestBaggage', () => {
  it('K-AMBIENT takes out every entry of ours, however spelled, and keeps the others', () => {
    const context = contextOf({
      'kest.passport': '[]',
      a: '1',
      'KEST.user': 'x',
      ' kest.jwt': 'x',
      'kest%2ehop': 'x',
      b: '2',
    })
    expect(keysOf(withoutKestBaggage(context))).toEqual(['a', 'b'])
    expect(keysOf(context)).toHaveLength(6)
  })

  it('answers with the same context when there is nothing to take out', () => {
    const context = contextOf({ a: '1' })
    expect(withoutKestBaggage(context)).toBe(context)
    expect(withoutKestBaggage(ROOT_CONTEXT)).toBe(ROOT_CONTEXT)
  })

  it('leaves no baggage when all of it was ours', () => {
    expect(keysOf(withoutKestBaggage(contextOf({ 'kest.user': 'x' })))).toBeUndefined()
  })

  it('keeps values and metadata of the others', () => {
    const { extract } = new W3CBaggagePropagator()
    const context = extract(ROOT_CONTEXT, { baggage: 'kest.user=x,a=1;p=2' }, defaultTextMapGetter)
    const entry = propagation.getBaggage(withoutKestBaggage(context))?.getEntry('a')
    expect([entry?.value, entry?.metadata?.toString()]).toEqual(['1', 'p=2'])
  })
})

describe('filterKestBaggage', () => {
  const inner = new CompositePropagator({
    propagators: [new W3CTraceContextPropagator(), new W3CBaggagePropagator()],
  })
  const filtered = filterKestBaggage(inner)

  it('K-SCOPE a client that Kest does not know sends no member of ours, and all others', () => {
    const context = contextOf({ 'kest.passport': '["a.b.c"]', a: '1' })
    expect(inject(inner, context)['baggage']).toContain('kest.passport')
    expect(inject(filtered, context)).toEqual({ baggage: 'a=1' })
    expect(inject(filtered, contextOf({ 'kest.passport': '[]' }))).toEqual({})
  })

  it('K-AMBIENT what comes in leaves nothing of ours in the context', () => {
    const carrier = { baggage: 'a=1,kest.user=x,kest.passport=["a.b.c", "d.e.f"],Kest%2EUser=x' }
    expect(keysOf(filtered.extract(ROOT_CONTEXT, carrier, defaultTextMapGetter))).toEqual(['a'])
  })

  it('K-AMBIENT holds for any header', () => {
    const piece = fc.constantFrom(
      'kest.',
      'KEST.',
      '%6best.',
      '%20',
      'user',
      'a',
      '=',
      '=1,',
      ',',
      ';',
      ' ',
      '%',
    )
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 30 }), (pieces) => {
        const carrier = { baggage: pieces.join('') }
        const keys = keysOf(filtered.extract(ROOT_CONTEXT, carrier, defaultTextMapGetter)) ?? []
        expect(keys.filter(resemblesKest)).toEqual([])
      }),
      { numRuns: 2000 },
    )
  })

  it('passes everything else', () => {
    expect(filtered.fields()).toEqual(inner.fields())
    const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'
    const context = filtered.extract(
      ROOT_CONTEXT,
      { traceparent, baggage: 'a=1,kest.user=x' },
      defaultTextMapGetter,
    )
    expect(inject(filtered, context)).toEqual({ traceparent, baggage: 'a=1' })
  })
})
