import { EventEmitter } from 'node:events'
import { describe, expect, it } from 'vitest'
import { createKest } from '../config/kest.js'
import { createKeySource } from '../identity/keys.js'
import { MockIdentityProvider } from '../identity/mock.js'
import { MockPolicyEngine } from '../testing/mock-engine.js'
import { RecordingLogger } from '../testing/recording-logger.js'
import { createIngress } from './ingress.js'

const PATH = '/orders/secret'

/** A service, and a response of which one member fails, as nobody expected. */
function broken(member: 'destroyed' | 'once') {
  const logger = new RecordingLogger()
  const kest = createKest({
    identity: new MockIdentityProvider('orders'),
    engine: new MockPolicyEngine(),
    trust: createKeySource({}),
    logger,
  })
  const ingress = createIngress('kestTest', { kest, origin: 'user_input' })
  const response = Object.assign(new EventEmitter(), {
    headersSent: false,
    writableEnded: false,
    destroyed: false,
  })
  const fails = {
    get: (): never => {
      throw new RangeError(`${PATH} is secret`)
    },
  }
  Object.defineProperty(response, member, fails)
  const request = { headers: {}, method: 'GET', url: `${PATH}?token=secret`, socket: undefined }
  const known = () => ({ route: '/orders/:id' })
  const receive = () => ingress.receive({ request: request as never, response: response as never, known })
  return { logger, kest, receive }
}

describe('a request that could not be judged, by an error that is not Kest’s', () => {
  it.each(['destroyed', 'once'] as const)(
    'is one line in the log, which says where it was, and nothing of the request but its route: %s',
    async (member) => {
      const { logger, receive } = broken(member)
      await expect(receive()).rejects.toThrow(RangeError)
      expect(logger.records).toEqual([
        {
          level: 'error',
          message: 'a request could not be judged',
          details: {
            code: '_OTHER',
            err: 'RangeError',
            at: expect.arrayContaining([expect.stringMatching(/^at .*ingress\.test/)]),
            method: 'GET',
            route: '/orders/:id',
          },
        },
      ])
      expect(JSON.stringify(logger.records)).not.toContain('secret')
    },
  )

  it('is ten lines in ten seconds at most, and a count of all others', async () => {
    const { logger, kest, receive } = broken('once')
    for (let n = 0; n < 1000; n++) await receive().catch(() => {})
    expect(logger.records).toHaveLength(10)
    await kest.close()
    expect(logger.records.slice(10)).toEqual([
      {
        level: 'error',
        message: 'a request could not be judged: so many more',
        details: { code: '_OTHER', count: 990 },
      },
    ])
  })
})

describe('a request that is refused', () => {
  it('is told of by what has refused it, and not again', async () => {
    const logger = new RecordingLogger()
    const kest = createKest({
      identity: new MockIdentityProvider('orders'),
      engine: new MockPolicyEngine(),
      trust: createKeySource({}),
      logger,
    })
    const ingress = createIngress('kestTest', { kest })
    const response = Object.assign(new EventEmitter(), {
      headersSent: false,
      writableEnded: false,
      destroyed: false,
    })
    const request = { headers: {}, method: 'GET', url: PATH, socket: undefined }
    const refused = ingress.receive({ request: request as never, response: response as never })
    await expect(refused).rejects.toMatchObject({ code: 'ERR_KEST_LINEAGE_MISSING' })
    const lines = logger.records.map(({ message }) => message)
    expect(lines.filter((line) => !line.startsWith('NO LIST'))).toEqual(['inbound request refused'])
  })
})
