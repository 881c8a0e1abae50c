import { describe, expect, it } from 'vitest'
import { parseOrigin, targetOf } from './target.js'

const target = (origin: unknown, path: unknown = '/', method = 'GET') =>
  targetOf({ origin, path, method }, null).href

describe('where a dispatch goes', () => {
  it('is its origin and its path', () => {
    expect(target('http://hop2:8000', '/orders?a=1')).toBe('http://hop2:8000/orders?a=1')
    expect(target(new URL('https://hop2/ignored'), '/x')).toBe('https://hop2/x')
    expect(target('http://hop2:80')).toBe('http://hop2/')
  })

  it('is not moved by the path', () => {
    for (const path of ['//evil.example/x', '/\\evil.example', '/@evil.example/', '/../..//evil.example']) {
      expect(new URL(target('http://hop2:8000', path)).origin).toBe('http://hop2:8000')
    }
  })

  it.each(['', '@evil.example/', '.evil.example/', ':1/', 'http://evil.example/', '*', undefined, 7])(
    'is unknown when the path is %j',
    (path) => {
      expect(() => targetOf({ origin: 'http://hop2', path, method: 'GET' }, null)).toThrow(
        expect.objectContaining({ code: 'ERR_KEST_OUTBOUND' }),
      )
    },
  )

  it('is the origin alone for a tunnel, and for what is not HTTP', () => {
    expect(target('http://proxy:3128', 'hop2:443', 'CONNECT')).toBe('http://proxy:3128/')
    expect(target('unix:/run/x.sock', '/x')).toBe('unix:/run/x.sock')
  })

  it.each([undefined, null, '', 'http://', 'hop2', 7, {}])('is unknown when the origin is %j', (origin) => {
    expect(() => target(origin)).toThrow(expect.objectContaining({ code: 'ERR_KEST_OUTBOUND' }))
  })

  it('may be stated, and is then the only one', () => {
    const stated = parseOrigin('http://hop2:8000')
    expect(targetOf({ path: '/x', method: 'GET' }, stated).href).toBe('http://hop2:8000/x')
    expect(targetOf({ origin: 'http://HOP2:8000/', path: '/x', method: 'GET' }, stated).href).toBe(
      'http://hop2:8000/x',
    )
    expect(() => targetOf({ origin: 'http://hop3:8000', path: '/x', method: 'GET' }, stated)).toThrow(
      expect.objectContaining({ code: 'ERR_KEST_OUTBOUND' }),
    )
  })

  it.each(['hop2', '', 'http://hop2/x', 'http://hop2/?a', 'http://hop2/#a', 'unix:/x', 7, null])(
    'cannot be stated as %j',
    (origin) => {
      expect(() => parseOrigin(origin)).toThrow(expect.objectContaining({ code: 'ERR_KEST_CONFIG' }))
    },
  )
})
