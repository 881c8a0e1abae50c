import { WireType } from '@bufbuild/protobuf/wire'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { bytes, message, text, type Write } from '../testing/write-protobuf.js'
import { decodeOtlpProtobuf } from './otlp-protobuf.js'

const attribute = (key: string, ...value: readonly Write[]): Uint8Array =>
  message(text(1, key), bytes(2, message(...value)))

function exportOf(span: Uint8Array): Uint8Array {
  return message(bytes(1, message(bytes(2, message(bytes(2, span))))))
}

function spanIn(decoded: ReturnType<typeof decodeOtlpProtobuf>): unknown {
  const [{ scopeSpans }] = decoded.resourceSpans as [{ scopeSpans: { spans: unknown[] }[] }]
  return scopeSpans[0]?.spans[0]
}

describe('decodeOtlpProtobuf', () => {
  it('reads what an audit looks at, as OTLP/JSON has it', () => {
    const span = message(
      bytes(1, Buffer.alloc(16, 0xab)),
      bytes(2, Buffer.alloc(8, 0xcd)),
      text(3, 'a trace state'),
      text(5, 'kest.verified.read'),
      (writer) => writer.tag(6, WireType.Varint).int32(1),
      (writer) => writer.tag(7, WireType.Bit64).fixed64(1n),
      bytes(9, attribute('text', text(1, 'é'))),
      bytes(
        9,
        attribute('yes', (writer) => writer.tag(2, WireType.Varint).bool(true)),
      ),
      bytes(
        9,
        attribute('integer', (writer) => writer.tag(3, WireType.Varint).int64(-5n)),
      ),
      bytes(
        9,
        attribute('number', (writer) => writer.tag(4, WireType.Bit64).double(0.5)),
      ),
      bytes(9, attribute('list', bytes(5, message()))),
      bytes(9, attribute('nothing')),
    )
    const resource = message(bytes(1, attribute('service.name', text(1, 'orders'))))
    const scope = message(text(1, 'kest.core'), text(2, '0.1.0'))
    const decoded = decodeOtlpProtobuf(
      message(bytes(1, message(bytes(1, resource), bytes(2, message(bytes(1, scope), bytes(2, span)))))),
    )
    expect(decoded).toEqual({
      resourceSpans: [
        {
          resource: { attributes: [{ key: 'service.name', value: { stringValue: 'orders' } }] },
          scopeSpans: [
            {
              scope: { name: 'kest.core' },
              spans: [
                {
                  traceId: 'ab'.repeat(16),
                  spanId: 'cd'.repeat(8),
                  name: 'kest.verified.read',
                  attributes: [
                    { key: 'text', value: { stringValue: 'é' } },
                    { key: 'yes', value: { boolValue: true } },
                    { key: 'integer', value: { intValue: '-5' } },
                    { key: 'number', value: { doubleValue: 0.5 } },
                    { key: 'list', value: {} },
                    { key: 'nothing', value: {} },
                  ],
                },
              ],
            },
          ],
        },
      ],
    })
  })

  it('refuses what may be there once and is there twice, of which one would go unread', () => {
    const number: Write = (writer) => writer.tag(2, WireType.Varint).bool(true)
    const value = bytes(2, message(text(1, 'a')))
    for (const twice of [
      message(bytes(9, attribute('a', text(1, 'first'), number))),
      message(bytes(9, attribute('a', text(1, 'first'), bytes(5, message())))),
      message(bytes(9, message(text(1, 'a'), text(1, 'b'), value))),
      message(bytes(9, message(text(1, 'a'), value, value))),
      message(text(5, 'a'), text(5, 'a')),
      message(bytes(1, Buffer.alloc(16, 1)), bytes(1, Buffer.alloc(16, 2))),
    ])
      expect(() => decodeOtlpProtobuf(exportOf(twice))).toThrow('is there twice')
  })

  it('reads spans by the field that they had before, too', () => {
    const former = bytes(1_000, message(bytes(2, message(text(5, 'name')))))
    expect(spanIn(decodeOtlpProtobuf(message(bytes(1, message(former)))))).toMatchObject({ name: 'name' })
  })

  it('refuses a field down to the spans that it does not know, for it could hold some', () => {
    const unknown = text(7, 'of tomorrow')
    const otherType: Write = (writer) => writer.tag(2, WireType.Varint).int32(7)
    for (const wrong of [
      message(unknown),
      message(bytes(1, message(unknown))),
      message(bytes(1, message(bytes(2, message(unknown))))),
      message(bytes(1, message(otherType))),
      message(bytes(1, message(bytes(2, message(otherType))))),
    ])
      expect(() => decodeOtlpProtobuf(wrong)).toThrow('is not one that is known')
  })

  it('takes a resource that comes in parts as all of them', () => {
    const part = (key: string): Write => bytes(1, message(bytes(1, attribute(key, text(1, key)))))
    expect(decodeOtlpProtobuf(message(bytes(1, message(part('a'), part('b')))))).toMatchObject({
      resourceSpans: [{ resource: { attributes: [{ key: 'a' }, { key: 'b' }] } }],
    })
  })

  it('passes over fields of a span that it does not know, and refuses those that it knows otherwise', () => {
    expect(spanIn(decodeOtlpProtobuf(exportOf(message(text(99, 'of tomorrow'), text(5, 'name')))))).toEqual({
      name: 'name',
      attributes: [],
    })
    const other = message((writer) => writer.tag(9, WireType.Varint).int32(7))
    expect(() => decodeOtlpProtobuf(exportOf(other))).toThrow('a field 9')
  })

  it.each([
    ['a length beyond the end', Buffer.from([0x0a, 0x7f, 0x00])],
    ['a tag without a field', Buffer.from([0x0a])],
    ['field 0', Buffer.from([0x02, 0x00])],
    ['a group that ends and never began', Buffer.from([0x0c])],
    ['a name that is not UTF-8', exportOf(message(bytes(5, Buffer.from([0xff, 0xfe]))))],
    ['a key that is not UTF-8', exportOf(message(bytes(9, message(bytes(1, Buffer.from([0xc0]))))))],
  ])('refuses %s', (_, wrong) => {
    expect(() => decodeOtlpProtobuf(wrong)).toThrow()
  })

  it('answers or throws an error, whatever the bytes, and never looks at more of them', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (any) => {
        try {
          expect(decodeOtlpProtobuf(any)).toHaveProperty('resourceSpans')
        } catch (error) {
          expect(error).toBeInstanceOf(Error)
        }
      }),
      { numRuns: 2_000 },
    )
  })
})
