import { MockPolicyEngine } from '@kest/core/testing'
import cors from 'cors'
import { rateLimit } from 'express-rate-limit'
import helmet from 'helmet'
import { describe, expect, it } from 'vitest'
import { kestExpress, protect } from '../src/index.js'
import { createService } from './support/kest.js'
import { MAJORS } from './support/majors.js'
import { serve } from './support/server.js'

const ORIGIN = 'https://shop.test'

describe.each(MAJORS)('in the order of the manual, on Express $major', ({ express }) => {
  /** What is for every request, then Kest, then the rest. */
  async function ordered(allow: boolean, options: object = {}) {
    const { kest } = createService({ engine: new MockPolicyEngine(allow) })
    const app = express()
    app.use(helmet())
    app.use(cors({ origin: [ORIGIN, 'https://app.test'] }))
    app.use(rateLimit({ limit: 5, windowMs: 60_000, legacyHeaders: true, validate: false }))
    app.use(kestExpress({ kest, ...options }))
    app.use(express.json())
    app.post('/x', protect({ policy: 'p' }), (req, res) => void res.json(req.body))
    return (await serve(app)).url
  }

  it('cors answers preflights, which bring neither lineage nor token', async () => {
    const headers = { origin: ORIGIN, 'access-control-request-method': 'POST' }
    const response = await fetch(`${await ordered(true)}/x`, { method: 'OPTIONS', headers })
    expect([response.status, response.headers.get('access-control-allow-origin')]).toEqual([204, ORIGIN])
  })

  it.each([
    ['lineage', {}, true, 'ERR_KEST_LINEAGE_MISSING'],
    ['a policy', { origin: 'user_input' }, false, 'ERR_KEST_DENIED'],
  ])('refusals by %s have the headers of cors and helmet', async (_by, options, allow, code) => {
    const url = await ordered(allow, options)
    const response = await fetch(`${url}/x`, { method: 'POST', headers: { origin: ORIGIN } })
    expect([response.status, ((await response.json()) as { code: string }).code]).toEqual([403, code])
    expect(Object.fromEntries(response.headers)).toMatchObject({
      'access-control-allow-origin': ORIGIN,
      'x-content-type-options': 'nosniff',
      'content-security-policy': expect.any(String),
      'x-ratelimit-remaining': '4',
      vary: code === 'ERR_KEST_DENIED' ? 'Origin' : 'Origin, baggage',
    })
  })

  it('forged passports meet express-rate-limit', async () => {
    const url = await ordered(true)
    const statuses: number[] = []
    for (let n = 0; n < 7; n++) {
      const headers = { baggage: 'kest.passport=%5B%22e30.e30.AA%22%5D' }
      statuses.push((await fetch(`${url}/x`, { method: 'POST', headers })).status)
    }
    expect(statuses).toEqual([403, 403, 403, 403, 403, 429, 429])
  })
})
