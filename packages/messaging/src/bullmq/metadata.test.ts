import { describe, expect, it } from 'vitest'
import { bodyOf, carrierFor, inboundHeaders } from './metadata.js'

const tracing = {
  contextManager: { active: () => 'now', getMetadata: (context: string) => `{"traceparent":"${context}"}` },
}

describe('what travels beside a job', () => {
  it('is what was given, else what BullMQ’s own tracing would write', () => {
    expect(carrierFor({ telemetry: { metadata: '{"a":"1"}' } }, tracing)).toEqual({ a: '1' })
    expect(carrierFor({}, tracing)).toEqual({ traceparent: 'now' })
    expect(carrierFor({ telemetry: { omitContext: true } }, tracing)).toEqual({})
    expect(carrierFor({}, undefined)).toEqual({})
  })

  it.each(['text', '[1]', 'null', '"text"'])('is refused where it cannot hold a passport: %s', (metadata) => {
    expect(() => carrierFor({ telemetry: { metadata } }, undefined)).toThrow('opts.telemetry.metadata')
    expect(inboundHeaders({ telemetry: { metadata } })).toEqual({})
  })
})

it('what is signed is the name and the data, as a worker reads them', () => {
  const data = { b: 1, 1: 'x', at: new Date(0), left: undefined }
  expect(bodyOf('charge', JSON.parse(JSON.stringify(data)))).toBe(bodyOf('charge', data))
  expect(bodyOf('charge', undefined)).toBe(bodyOf('charge', {}))
  expect(bodyOf('refund', data)).not.toBe(bodyOf('charge', data))
})
