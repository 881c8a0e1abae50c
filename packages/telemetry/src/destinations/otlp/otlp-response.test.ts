import { describe, expect, it } from 'vitest'
import { parseOtlpResponse } from './otlp-response.js'

const protobuf = (...bytes: number[]) => Uint8Array.from(bytes)
const text = (body: string) => Buffer.from(body)

describe('parseOtlpResponse', () => {
  it.each<[string, Uint8Array, object]>([
    ['nothing', text(''), {}],
    ['an empty object', text('{}'), {}],
    ['JSON, as a Collector answers', text('{"partialSuccess":{}}'), { partialSuccess: {} }],
    ['JSON with space around', text('\n{"a":1}\n'), { a: 1 }],
    [
      'JSON of a part',
      text('{"partialSuccess":{"rejectedSpans":"2"}}'),
      { partialSuccess: { rejectedSpans: '2' } },
    ],
    ['protobuf with an empty field', protobuf(0x0a, 0), { partialSuccess: {} }],
    ['protobuf of a part', protobuf(0x0a, 2, 0x08, 3), { partialSuccess: { rejectedSpans: 3 } }],
    [
      'protobuf that looks like JSON',
      protobuf(0x0a, 0x7b, 0x12, 0x79, ...text('x'.repeat(0x79))),
      { partialSuccess: { errorMessage: 'x'.repeat(0x79) } },
    ],
  ])('reads %s', (_, body, response) => {
    expect(parseOtlpResponse(body)).toEqual(response)
  })

  it.each<[string, Uint8Array]>([
    ['a page', text('<html>login</html>')],
    ['a page after a line', text('\n<!doctype html>\n<html>login</html>')],
    ['a word', text('OK')],
    ['a word that protobuf could be', text('accepted')],
    ['a list', text('[]')],
    ['JSON that is cut off', text('{"partialSuccess":')],
    ['protobuf that is cut off', protobuf(0x0a, 2, 0x08)],
  ])('refuses %s', (_, body) => {
    expect(() => parseOtlpResponse(body)).toThrow()
  })
})
