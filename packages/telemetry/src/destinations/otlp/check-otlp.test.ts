import { describe, expect, it, vi } from 'vitest'
import { Receiver } from '../../../tests/support/receiver.js'
import { checkOtlp } from './check-otlp.js'

describe('checkOtlp', () => {
  it.each(['http/json', 'http/protobuf'] as const)(
    'asks with no span, as exports ask: %s',
    async (protocol) => {
      const receiver = await Receiver.listen()
      vi.stubEnv('OTEL_EXPORTER_OTLP_HEADERS', 'authorization=Bearer%20x')
      expect(await checkOtlp({ endpoint: receiver.origin, protocol })).toBe(
        `OTLP ${receiver.origin}/v1/traces`,
      )
      vi.unstubAllEnvs()
      expect(receiver.received).toHaveLength(1)
      expect(receiver.received[0]).toMatchObject({
        path: '/v1/traces',
        headers: { authorization: 'Bearer x' },
      })
      expect(String(receiver.received[0]?.body)).toBe(protocol === 'http/json' ? '{"resourceSpans":[]}' : '')
    },
  )

  it.each([
    [401, 'no', /HTTP 401 .*"no"/],
    [200, '<html>', /none of a receiver of OTLP/],
    [404, '', /HTTP 404/],
  ])('says what answers: %i %s', async (status, body, why) => {
    const receiver = await Receiver.listen()
    receiver.answer = () => ({ status, body })
    await expect(checkOtlp({ endpoint: receiver.origin })).rejects.toMatchObject({
      code: 'ERR_KEST_AUDIT_UNAVAILABLE',
      message: expect.stringMatching(why),
    })
  })

  it('waits no longer than it may, and names no user of the endpoint', async () => {
    const receiver = await Receiver.listen()
    receiver.answer = () => null
    const endpoint = receiver.origin.replace('//', '//user:hunter2@')
    const error = await checkOtlp({ endpoint, timeoutMs: 100 }).catch((reason: Error) => reason)
    expect(String(error)).toMatch(/timed out after 100 ms/)
    expect(String(error)).not.toContain('hunter2')
  })

  it('refuses what setupTelemetry would', async () => {
    await expect(checkOtlp({ endpoint: 'grpc://collector' })).rejects.toMatchObject({
      code: 'ERR_KEST_CONFIG',
    })
  })
})
