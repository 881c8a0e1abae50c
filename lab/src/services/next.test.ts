import { KestError } from '@kest/core'
import { expect, it } from 'vitest'
import { NextHop, type Sent } from './next.js'

const URL_OF_NEXT = new URL('http://hop3:8000')

function hop(send: (url: URL, signal: AbortSignal) => Promise<Sent>, timeoutMs = 60_000) {
  const lines: object[] = []
  const log = (line: object): void => void lines.push(line)
  return { lines, next: new NextHop({ service: 'hop2', url: URL_OF_NEXT, timeoutMs, send, log }) }
}

const answers = (status: number, text: string) => async (): Promise<Sent> => ({
  status,
  text: async () => text,
})

it('asks for the same item, and passes the answer on', async () => {
  const asked: string[] = []
  const { next, lines } = hop((url) => {
    asked.push(url.href)
    return answers(200, '{"service":"hop3","status":"end_of_chain"}')()
  })
  expect(await next.ask('/?item=a')).toEqual({
    status: 200,
    body: { service: 'hop2', next: { service: 'hop3', status: 'end_of_chain' } },
  })
  expect(asked).toEqual(['http://hop3:8000/?item=a'])
  expect(lines).toEqual([])
})

it('hands the headers that it is given to its client, and none of its own', async () => {
  const given: unknown[] = []
  const next = new NextHop({
    service: 'hop2',
    url: URL_OF_NEXT,
    timeoutMs: 60_000,
    send: (_url, _signal, headers) => {
      given.push(headers)
      return answers(200, '{"service":"hop3"}')()
    },
  })
  await next.ask('/', { baggage: 'a=1' })
  await next.ask('/')
  expect(given).toEqual([{ baggage: 'a=1' }, undefined])
})

it("passes on the next hop's refusal with its code", async () => {
  const { next } = hop(answers(503, '{"code":"ERR_KEST_ENGINE"}'))
  expect(await next.ask('/')).toEqual({
    status: 502,
    body: { service: 'hop2', next: { code: 'ERR_KEST_ENGINE' } },
  })
})

it.each(['<html>', '', '"fine"', 'null', '{"status":"fine"}', '[]'])(
  'answers 502 ERR_NEXT_ANSWER for what is no answer of a service: %s',
  async (text) => {
    const { next, lines } = hop(answers(200, text))
    expect(await next.ask('/')).toEqual({ status: 502, body: { service: 'hop2', code: 'ERR_NEXT_ANSWER' } })
    expect(lines).toMatchObject([{ level: 'error', code: 'ERR_NEXT_ANSWER', next: 'hop3:8000' }])
  },
)

it('answers 504 ERR_NEXT_TIMEOUT when the time is up, for the body as well', async () => {
  const late = ({ signal }: { signal: AbortSignal }): Promise<never> =>
    new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)))
  for (const send of [
    (_: URL, signal: AbortSignal) => late({ signal }),
    async (_: URL, signal: AbortSignal) => ({ status: 200, text: () => late({ signal }) }),
  ]) {
    const { next } = hop(send, 20)
    expect(await next.ask('/')).toEqual({ status: 504, body: { service: 'hop2', code: 'ERR_NEXT_TIMEOUT' } })
  }
})

it('says once that the next hop cannot be reached, and once that it can', async () => {
  let up = false
  const { next, lines } = hop(async () => {
    if (up) return answers(200, '{"service":"hop3"}')()
    throw new TypeError('fetch failed', { cause: new Error('connect ECONNREFUSED') })
  })
  for (let i = 0; i < 3; i++) {
    expect(await next.ask('/')).toEqual({
      status: 502,
      body: { service: 'hop2', code: 'ERR_NEXT_UNREACHABLE' },
    })
  }
  up = true
  for (let i = 0; i < 3; i++) await next.ask('/')
  expect(lines).toMatchObject([
    { level: 'error', code: 'ERR_NEXT_UNREACHABLE', err: 'fetch failed: connect ECONNREFUSED' },
    { level: 'warn', msg: 'the next hop answers again' },
  ])
})

it('leaves to Kest what Kest refused to send', async () => {
  const refusal = new KestError('ERR_KEST_TOO_LARGE', 'the passport fits no header')
  const { next } = hop(() => Promise.reject(new TypeError('fetch failed', { cause: refusal })))
  await expect(next.ask('/')).rejects.toBe(refusal)
})
