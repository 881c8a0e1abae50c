import { describe, expect, it } from 'vitest'
import { KEST_ERROR_CODES, KestError, PassportVerificationError } from '../errors.js'
import { toProblem } from './problem.js'

describe('toProblem', () => {
  it.each(KEST_ERROR_CODES)('answers %s with its code and a title, and nothing else of it', (code) => {
    const error = new PassportVerificationError(code, 'the secret of spiffe://example.org/hop1', {
      index: 3,
      entryId: 'e',
    })
    const problem = toProblem(error)
    expect(problem).toEqual({
      status: error.statusCode,
      headers: expect.objectContaining({
        'content-type': 'application/problem+json',
        'cache-control': 'no-store',
      }),
      body: {
        type: `urn:kest:error:${code}`,
        title: expect.stringMatching(/^[A-Z][^<>]{10,}$/),
        status: error.statusCode,
        code,
      },
    })
    expect(JSON.stringify(problem)).not.toMatch(/secret|spiffe|hop1/)
  })

  it('F-IC-05 asks for a token when one is missing or does not hold', () => {
    const headers = toProblem(new KestError('ERR_KEST_TOKEN', 'expired')).headers
    expect(headers).toHaveProperty('www-authenticate', 'Bearer error="invalid_token"')
    expect(toProblem(new KestError('ERR_KEST_DENIED', 'no')).headers).not.toHaveProperty('www-authenticate')
  })

  it.each([
    new Error('a secret'),
    Object.assign(new TypeError('a secret'), { code: 'E_SECRET', statusCode: 404 }),
    { code: 'ERR_KEST_TIP', statusCode: 403 },
    'a secret',
    null,
    undefined,
  ])('tells nothing of %s, which is not of Kest', (error) => {
    const problem = toProblem(error)
    expect(problem).toMatchObject({ status: 500, body: { code: 'ERR_KEST_CONFIG' } })
    expect(JSON.stringify(problem)).not.toMatch(/secret/i)
  })

  it('survives an error of another version with a code it does not know', () => {
    const error = new KestError('ERR_KEST_TIP', 'x')
    expect(toProblem(Object.assign(error, { code: 'ERR_KEST_NEW', statusCode: 451 }))).toMatchObject({
      status: 451,
      body: { code: 'ERR_KEST_NEW', title: 'The request is refused' },
    })
    expect(toProblem(Object.assign(error, { code: 'ERR_KEST_X\r\n', statusCode: 200 }))).toMatchObject({
      status: 500,
      body: { code: 'ERR_KEST_CONFIG' },
    })
  })
})
