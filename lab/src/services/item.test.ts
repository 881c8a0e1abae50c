import { fastify } from 'fastify'
import { expect, it } from 'vitest'
import { ITEM_QUERY, itemOf } from './item.js'

async function ask(query: string): Promise<[number, string]> {
  const app = fastify()
  app.get('/', { schema: { querystring: ITEM_QUERY } }, ({ url }) => itemOf(url))
  const { statusCode, body } = await app.inject(`/${query}`)
  return [statusCode, body]
}

it.each([
  ['', 'any'],
  ['?item=order-17', 'order-17'],
  ['?item=a%3Ab', 'a:b'],
  ['?other=x', 'any'],
])('takes %j for %s', async (query, item) => {
  expect(await ask(query)).toEqual([200, item])
})

it.each([
  '?item=',
  '?item',
  '?item=%20',
  '?item=a%0A',
  '?item=%00',
  '?item=%FF',
  '?item=a&item=b',
  '?item=&item=b',
  `?item=${'x'.repeat(101)}`,
])('refuses %j as a mistake of who asks', async (query) => {
  expect(await ask(query)).toEqual([400, expect.any(String)])
})
