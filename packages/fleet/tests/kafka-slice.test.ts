import { describe, expect, it } from 'vitest'
import { type FetchAnswer, sliceOf } from '../src/log/kafka-slice.js'

type Batch = NonNullable<FetchAnswer['records']>[number]

function batch(offset: number, producerId: number, attributes: number, key = 'x'): Batch {
  const record = { offsetDelta: 0, timestampDelta: 0n, value: Buffer.from(`${offset}`), headers: [] }
  return {
    firstOffset: BigInt(offset),
    lastOffsetDelta: 0,
    firstTimestamp: 1n,
    attributes,
    producerId: BigInt(producerId),
    records: [{ ...record, key: Buffer.from(key, 'latin1') }],
  }
}

const written = (offset: number, by: number): Batch => batch(offset, by, 0x10)
const marker = (offset: number, by: number, type: 'abort' | 'commit'): Batch =>
  batch(offset, by, 0x30, `\0\0\0${type === 'abort' ? '\0' : '\x01'}`)

function offsetsOf(
  records: readonly Batch[],
  aborted: readonly (readonly [by: number, from: number])[],
  from = 0,
): { offsets: number[]; next: number } {
  const abortedTransactions = aborted.map(([by, first]) => {
    return { producerId: BigInt(by), firstOffset: BigInt(first) }
  })
  const slice = sliceOf({ lastStableOffset: 100n, abortedTransactions, records }, from)
  return { offsets: slice.records.map(({ offset }) => offset), next: slice.next }
}

describe('what is read of a partition', () => {
  it('K-FLEET is what was committed, of several transactions of one writer', () => {
    const records = [
      written(0, 7),
      marker(1, 7, 'abort'),
      written(2, 7),
      written(3, 8),
      marker(4, 7, 'commit'),
      written(5, 7),
      marker(6, 7, 'abort'),
      marker(7, 8, 'commit'),
      batch(8, -1, 0),
    ]
    expect(
      offsetsOf(records, [
        [7, 5],
        [7, 0],
      ]),
    ).toEqual({ offsets: [2, 3, 8], next: 9 })
  })

  it('K-FLEET is nothing of an aborted transaction whose end is not read yet', () => {
    expect(offsetsOf([written(4, 7), written(5, 7), written(6, 8)], [[7, 4]])).toEqual({
      offsets: [6],
      next: 7,
    })
    expect(offsetsOf([written(5, 7), written(6, 8)], [[7, 4]], 5)).toEqual({ offsets: [6], next: 7 })
  })

  it('goes on behind markers of transactions that wrote nothing', () => {
    expect(offsetsOf([marker(4, 9, 'abort'), written(5, 7)], [[8, 99]])).toEqual({ offsets: [5], next: 6 })
  })

  it('leaves out what lies before, in a batch that goes on behind it', () => {
    const one = batch(3, -1, 0)
    const [record] = one.records
    const both = {
      ...one,
      lastOffsetDelta: 1,
      records: [record, { ...record, offsetDelta: 1 }] as Batch['records'],
    }
    expect(offsetsOf([both], [], 4)).toEqual({ offsets: [4], next: 5 })
  })
})
