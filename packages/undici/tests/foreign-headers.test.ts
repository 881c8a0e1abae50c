import { Headers as UndiciHeaders } from 'undici'
import { expect, it } from 'vitest'
import { kest, operationsIn, within } from '../../../tests/outbound/services.js'

it('K-SCOPE K-EDGE the Headers of undici get the passport, and lose what a stranger wrote', async () => {
  const headers = new UndiciHeaders({ Baggage: 'kest.user=eve,theirs=1' }) as unknown as Headers
  const sent = await within('orders.list', () => kest.inject(headers, 'http://127.0.0.1:1/x'))
  const baggage = sent.get('baggage') as string
  expect(baggage).toMatch(/,theirs=1$/)
  expect(baggage).not.toContain('eve')
  expect(await operationsIn({ baggage })).toEqual(['orders.list'])
})

it('K-ROOT a passport in the Headers of undici is seen', async () => {
  const headers = new UndiciHeaders({ baggage: 'kest.passport=none' }) as unknown as Headers
  const refused = kest.extract(headers, { mode: 'off' })
  await expect(refused).rejects.toMatchObject({ code: 'ERR_KEST_PASSPORT_MALFORMED' })
})
