import { describe, expect, it } from 'vitest'
import { wrapProducer } from '../src/sqs/index.js'
import type { SqsInput, SqsMiddleware } from '../src/sqs/types.js'
import { inRequest, kestOf } from './support.js'

const gateway = kestOf('gateway')
const AWS = 'https://sqs.eu-west-1.amazonaws.com'
const PATH = '/123456789012/payments'

/** As far as the wrapper sees one; the real one is in the live suite. */
function sending(options: object) {
  let middleware: SqsMiddleware = (next) => next
  const middlewareStack = {
    add(added: SqsMiddleware) {
      middleware = added
    },
  }
  const told = { kest: gateway, propagateTo: [['123456789012', 'payments']] }
  wrapProducer({ middlewareStack } as never, { ...told, ...options })
  return async (input: SqsInput): Promise<SqsInput> => {
    let sent: SqsInput = {}
    const next = async (args: { readonly input: SqsInput }) => {
      sent = args.input
    }
    await inRequest(gateway, () => middleware(next, { commandName: 'SendMessageCommand' })({ input }))
    return sent
  }
}

describe('a producer of SQS', () => {
  it('K-SCOPE gives a queue of another origin nothing, whatever its name, where origins are named', async () => {
    const send = sending({ origins: [AWS] })
    const attribute = (StringValue: string) => ({ DataType: 'String', StringValue })
    const MessageAttributes = { Baggage: attribute('tenant=a,kest.user=mallory'), other: attribute('1') }
    const hosts = [
      'https://sqs.eu-west-1.amazonaws.com.stranger.example',
      'http://sqs.eu-west-1.amazonaws.com',
      'https://sqs.eu-west-1.amazonaws.com:8443',
      'https://sqs.us-east-1.amazonaws.com',
    ]
    for (const QueueUrl of [...hosts.map((host) => `${host}${PATH}`), PATH, 'payments']) {
      const sent = await send({ QueueUrl, MessageBody: 'x', MessageAttributes })
      expect(JSON.stringify(sent)).not.toContain('kest.')
      expect(sent.MessageAttributes).toEqual({ baggage: attribute('tenant=a'), other: attribute('1') })
    }
    const { MessageAttributes: carried } = await send({
      QueueUrl: `${AWS}${PATH}`,
      MessageBody: 'x',
      MessageAttributes,
    })
    expect(carried?.['baggage']?.StringValue).toContain('kest.user=alice')
  })

  it('is refused with origins that are none', () => {
    for (const origins of ['https://a', [''], [`${AWS}/`], [`${AWS}${PATH}`], [7]])
      expect(() => sending({ origins }), String(origins)).toThrow(
        expect.objectContaining({ code: 'ERR_KEST_CONFIG' }),
      )
  })
})
