import { describe, expect, it } from 'vitest'
import { parseOtlpResponse, refusalIn } from './otlp-response.js'

const protobuf = (...bytes: number[]) => Uint8Array.from(bytes)
const text = (body: string) => Buffer.from(body)

describe('parseOtlpResponse', () => {
  it.each<[string, Uint8Array, number, string]>([
    ['nothing', text(''), 0, ''],
    ['an empty object', text('{}'), 0, ''],
    ['JSON, as a Collector answers', text('{"partialSuccess":{}}'), 0, ''],
    ['JSON with space around', text('\n{"a":1}\n'), 0, ''],
    ['JSON of a part', text('{"partialSuccess":{"rejectedSpans":"2"}}'), 2, ''],
    [
      'JSON of a part, counted by a number',
      text('{"partialSuccess":{"rejectedSpans":2,"errorMessage":"quota"}}'),
      2,
      'quota',
    ],
    ['protobuf with an empty field', protobuf(0x0a, 0), 0, ''],
    ['protobuf of a part', protobuf(0x0a, 2, 0x08, 3), 3, ''],
    [
      'protobuf that looks like JSON',
      protobuf(0x0a, 0x7b, 0x12, 0x79, ...text('x'.repeat(0x79))),
      0,
      'x'.repeat(0x79),
    ],
  ])('reads %s', (_, body, rejectedSpans, errorMessage) => {
    expect(parseOtlpResponse(body)).toEqual({ rejectedSpans, errorMessage })
  })

  it.each<[string, Uint8Array]>([
    ['a page', text('<html>login</html>')],
    ['a page after a line', text('\n<!doctype html>\n<html>login</html>')],
    ['a word', text('OK')],
    ['a word that protobuf could be', text('accepted')],
    ['a list', text('[]')],
    ['JSON that is cut off', text('{"partialSuccess":')],
    ['protobuf that is cut off', protobuf(0x0a, 2, 0x08)],
    ['a count that is none', text('{"partialSuccess":{"rejectedSpans":"many"}}')],
    ['a count below nothing', text('{"partialSuccess":{"rejectedSpans":-1}}')],
  ])('refuses %s', (_, body) => {
    expect(() => parseOtlpResponse(body)).toThrow()
  })
})

describe('refusalIn', () => {
  const status = text('{"code":3,"message":"no"}')
  const binary = protobuf(0x08, 3, 0x12, 2, 0x6e, 0x6f)

  it.each<[string, 'http/json' | 'http/protobuf', Uint8Array, string]>([
    ['JSON', 'http/json', status, 'no'],
    ['JSON without a code', 'http/json', text('{"message":"no"}'), 'no'],
    ['JSON with details', 'http/json', text('{"code":13,"message":"","details":[]}'), ''],
    ['protobuf', 'http/protobuf', binary, 'no'],
    ['protobuf with details', 'http/protobuf', protobuf(0x08, 3, 0x1a, 1, 0), ''],
  ])('reads a Status in %s', (_, protocol, body, message) => {
    expect(refusalIn(body, protocol)).toBe(message)
  })

  it.each<[string, 'http/json' | 'http/protobuf', Uint8Array]>([
    ['nothing', 'http/json', text('')],
    ['nothing', 'http/protobuf', text('')],
    ['a page', 'http/json', text('<html>Bad Request</html>')],
    ['a page', 'http/protobuf', text('<html>Bad Request</html>')],
    ['a sentence', 'http/protobuf', text('Bad Request')],
    ['an empty object', 'http/json', text('{}')],
    ['somebody else’s error', 'http/json', text('{"error":"no","code":3}')],
    ['a code of HTTP', 'http/json', text('{"code":400,"message":"no"}')],
    ['a code that is a text', 'http/json', text('{"code":"3"}')],
    ['a list', 'http/json', text('[{"code":3}]')],
    ['the other form', 'http/protobuf', status],
    ['the other form', 'http/json', binary],
    ['what is cut off', 'http/protobuf', binary.subarray(0, -1)],
    ['what is cut off', 'http/json', status.subarray(0, -1)],
    ['a text that is no UTF-8', 'http/protobuf', protobuf(0x12, 1, 0xff)],
  ])('takes %s for no Status in %s', (_, protocol, body) => {
    expect(refusalIn(body, protocol)).toBeNull()
  })
})
