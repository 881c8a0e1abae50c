import { once } from 'node:events'
import { Agent, createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, expect, it } from 'vitest'
import { type Answer, post } from './post.js'

const ends: (() => void)[] = []
afterEach(() => {
  for (const end of ends.splice(0)) end()
})

/** What comes of a post to whoever answers so. */
async function posted(answer: RequestListener): Promise<Answer> {
  const server = createServer(answer).listen(0, '127.0.0.1')
  const agent = new Agent({ keepAlive: true })
  ends.push(() => {
    agent.destroy()
    server.closeAllConnections()
    server.close()
  })
  await once(server, 'listening')
  const url = new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/v1/traces`)
  return post({
    url,
    headers: {},
    body: Buffer.from('{}'),
    agent,
    timeoutMs: 60_000,
    signal: new AbortController().signal,
  })
}

it('answers what came, whole', async () => {
  const { status, body, retryAfter } = await posted((_, response) => {
    response.writeHead(503, { 'retry-after': '7' })
    response.write('not ')
    response.end('now')
  })
  expect([status, retryAfter, Buffer.from(body).toString()]).toEqual([503, '7', 'not now'])
})

it('fails for an answer that is cut off: what it would have said is not known', async () => {
  const cut = posted((_, response) => {
    response.writeHead(200, { 'content-length': '10' })
    response.write('12345', () => response.destroy())
  })
  await expect(cut).rejects.toThrow(/^POST http:.*\/v1\/traces: /)
})

it('K-LIMIT reads the beginning of an answer that has no end, and waits for no more', async () => {
  const { status, body } = await posted((_, response) => {
    response.writeHead(200)
    response.write(Buffer.alloc(200_000, 'x'))
  })
  expect([status, body.length]).toEqual([200, 65_536])
})
