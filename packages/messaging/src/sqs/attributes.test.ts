import { describe, expect, it } from 'vitest'
import { headersOf, queueOf, withBaggage } from './attributes.js'
import { deadLetterQueue, type SqsLetter } from './dead-letter-queue.js'

function attributes(count: number) {
  const named = Array.from({ length: count }, (_, n) => [
    `a${n}`,
    { DataType: 'String', StringValue: `${n}` },
  ])
  return Object.fromEntries(named)
}

describe('attributes of SQS', () => {
  it('take the passport as one of ten, whatever the spelling of one that was there', () => {
    const given = { ...attributes(9), Baggage: { DataType: 'String', StringValue: 'old' } }
    const carried = withBaggage(given, { baggage: 'new' })
    expect(Object.keys(carried)).toHaveLength(10)
    expect(headersOf(carried)).toMatchObject({ a0: '0', baggage: 'new' })
    expect(carried).not.toHaveProperty('Baggage')
  })

  it('are not enough for a passport beside ten others: it is said so, and nothing is sent', () => {
    expect(() => withBaggage(attributes(10), { baggage: 'new' })).toThrow(
      expect.objectContaining({
        code: 'ERR_KEST_TOO_LARGE',
        message: expect.stringContaining('10 attributes'),
      }),
    )
    expect(withBaggage(attributes(10), {})).toEqual(attributes(10))
  })

  it('of bytes are read as they are', () => {
    const BinaryValue = Buffer.from('kest')
    expect(headersOf({ baggage: { DataType: 'Binary', BinaryValue } })).toEqual({ baggage: BinaryValue })
  })
})

it('a queue is account and name, wherever it is served', () => {
  expect(queueOf('https://sqs.eu-west-1.amazonaws.com/123456789012/payments')).toEqual([
    '123456789012',
    'payments',
  ])
  expect(queueOf('http://127.0.0.1:4566/000000000000/payments')).toEqual(['000000000000', 'payments'])
  expect(queueOf('payments')).toEqual(['payments'])
})

describe('a dead letter', () => {
  const refused = { from: 'sqs://default/1/payments', code: 'ERR_KEST_BINDING', error: null } as const

  async function letterOf(count: number): Promise<SqsLetter> {
    const sent: SqsLetter[] = []
    const baggage = { DataType: 'String', StringValue: 'kest.passport=x' }
    const MessageAttributes = { ...attributes(count - 1), baggage }
    await deadLetterQueue(async (letter) => sent.push(letter))({
      ...refused,
      message: { Body: 'body', MessageAttributes },
    })
    return sent[0] as SqsLetter
  }

  it('has all attributes that came, the code and where it was read', async () => {
    const letter = await letterOf(8)
    expect(letter.MessageBody).toBe('body')
    expect(headersOf(letter.MessageAttributes)).toMatchObject({
      a6: '6',
      baggage: 'kest.passport=x',
      'kest-error': 'ERR_KEST_BINDING',
      'kest-source': 'sqs://default/1/payments',
    })
    expect(Object.keys(letter.MessageAttributes)).toHaveLength(10)
  })

  it.each([9, 10])(
    'of %s attributes names those that had no room, and lineage is not among them',
    async (count) => {
      const { MessageAttributes } = await letterOf(count)
      expect(Object.keys(MessageAttributes)).toHaveLength(10)
      expect(MessageAttributes['baggage']).toBeDefined()
      const out = MessageAttributes['kest-left-out']?.StringValue?.split(',') ?? []
      for (const name of Object.keys(attributes(count - 1)))
        expect([name, name in MessageAttributes || out.includes(name)]).toEqual([name, true])
    },
  )
})
