import http, { type ClientRequest } from 'node:http'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type RequestOptions, routeOf } from './route.js'

const HTTP = { protocol: 'http:', path: '/x?y=z' } as ClientRequest
const HTTPS = { protocol: 'https:', path: '/x?y=z' } as ClientRequest
const direct = new http.Agent()

/** Who reads a request; `null` for nobody with an origin, `unclear` for a proxy without a name. */
function reader(options: RequestOptions, agent: unknown = direct, request = HTTP): string | null {
  const { to, unclear } = routeOf(request, options, agent)
  return unclear ? 'unclear' : (to?.origin ?? null)
}

describe('K-SCOPE where a request goes', () => {
  it.each<[string, RequestOptions, string | null]>([
    ['a name and a port', { host: 'hop2', port: 8000 }, 'http://hop2:8000'],
    ['the port of the scheme', { host: 'hop2', port: '80' }, 'http://hop2'],
    ['no port', { host: 'hop2' }, 'http://hop2'],
    ['the default port of the caller', { host: 'hop2', defaultPort: 81 }, 'http://hop2:81'],
    ['nothing', {}, 'http://localhost'],
    ['a host, whatever name its caller gave', { host: 'a', hostname: 'b' }, 'http://a'],
    ['capitals', { host: 'HOP2' }, 'http://hop2'],
    ['a name of another script', { host: 'bücher.test' }, 'http://xn--bcher-kva.test'],
    ['an address of IPv6', { host: '::1', port: 81 }, 'http://[::1]:81'],
    ['an address of IPv6 in brackets', { host: '[::1]', port: 81 }, 'http://[::1]:81'],
    ['a socket path', { host: 'hop2', socketPath: '/run/x.sock' }, null],
    ['a name with a port in it', { host: 'hop2:8000' }, null],
    ['a name with a user in it', { host: 'a@hop2' }, null],
    ['a name with a path in it', { host: 'hop2/x' }, null],
    ['a name with an escape in it', { host: 'hop%32' }, null],
    ['a name with white space in it', { host: 'hop2\t' }, null],
    ['an address with a zone', { host: 'fe80::1%eth0' }, null],
    ['a port that is none', { host: 'hop2', port: '80/x' }, 'http://hop2'],
  ])('%s', (_, options, expected) => {
    expect(reader(options)).toBe(expected)
  })

  it('what the agent was told overrides what the request says, also by nothing', () => {
    const options = { host: 'hop2', port: 8000, hostname: 'hop2' }
    const told = (own: http.AgentOptions & RequestOptions) =>
      reader(options, new http.Agent(own as http.AgentOptions))
    expect(told({ host: 'stranger' })).toBe('http://stranger:8000')
    expect(told({ port: 81 } as never)).toBe('http://hop2:81')
    expect(told({ host: undefined } as never)).toBe('http://localhost:8000')
    expect(told({ socketPath: '/run/x.sock' } as never)).toBe(null)
    expect(told({ hostname: 'stranger' } as never)).toBe('http://hop2:8000')
    expect(reader({ ...options, socketPath: '/x' }, new http.Agent({ socketPath: undefined } as never))).toBe(
      'http://hop2:8000',
    )
  })

  it.each<[string, unknown, string | null]>([
    ['says its URL', { proxy: new URL('http://proxy:3128/x') }, 'http://proxy:3128'],
    ['says it as text', { proxy: 'https://proxy:3129' }, 'https://proxy:3129'],
    [
      'says it in parts, with the whole',
      { proxy: { href: 'http://proxy:3128/', host: 'proxy' } },
      'http://proxy:3128',
    ],
    ['says it in parts', { proxy: { host: 'proxy', port: 3128 } }, 'unclear'],
    ['is of SOCKS', { proxy: new URL('socks5://proxy:1080') }, 'unclear'],
    ['tunnels', { proxyOptions: { host: 'proxy' } }, 'unclear'],
    ['decides for each request', { getProxyForUrl: () => '' }, 'unclear'],
  ])('plain HTTP through an agent for a proxy that %s', (_, agent, expected) => {
    expect(reader({ host: 'hop2' }, agent)).toBe(expected)
    // TLS is not read by what it goes through.
    expect(reader({ host: 'hop2', port: 443 }, agent, HTTPS)).toBe('https://hop2')
  })

  it('an agent that has written the whole URL into the path hands it to a proxy', () => {
    const proxied = { ...HTTP, path: 'http://hop2/x' } as ClientRequest
    expect(reader({ host: 'hop2', path: '/x' }, direct, proxied)).toBe('unclear')
    // Whoever wrote it there himself goes to where he said.
    expect(reader({ host: 'proxy', path: 'http://hop2/x' }, direct, proxied)).toBe('http://proxy')
  })

  it('asks the one that the path names, where it names one', () => {
    const proxied = { ...HTTP, path: 'http://hop2/x' } as ClientRequest
    expect(routeOf(proxied, { host: 'proxy', path: 'http://hop2/x' }, direct).asks.href).toBe('http://hop2/x')
    expect(routeOf(HTTP, { host: 'hop2' }, direct).asks.href).toBe('http://hop2/x?y=z')
    expect(routeOf(HTTP, { host: 'hop2' }, direct).to?.href).toBe('http://hop2/x?y=z')
    expect(routeOf({ ...HTTP, path: '*' } as ClientRequest, { host: 'hop2' }, direct).to?.href).toBe(
      'http://hop2/',
    )
  })

  it('K-REDIRECT asks the one that its caller named, whatever its agent was told', () => {
    const agent = new http.Agent({ host: 'sidecar', port: 81 } as http.AgentOptions)
    const { to, asks } = routeOf(HTTP, { host: 'hop2', port: 8000 }, agent)
    expect([to?.href, asks.href]).toEqual(['http://sidecar:81/x?y=z', 'http://hop2:8000/x?y=z'])
    expect(routeOf(HTTP, { host: 'sidecar', hostname: 'hop2' }, direct).asks.origin).toBe('http://hop2')
  })

  it('takes any path that Node takes', () => {
    for (const path of [5, new URL('http://hop2/x'), { toString: () => '/x' }]) {
      const { to } = routeOf({ ...HTTP, path } as unknown as ClientRequest, { host: 'hop2', path }, direct)
      expect(to?.origin).toBe('http://hop2')
    }
  })

  it('is no other name than the one that is looked up, whatever it is', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(...'hop2.:/@%\\#?[] \t\r\n') }), (host) => {
        const origin = reader({ host })
        if (origin === null || host === '') return
        const name = new URL(origin).hostname
        expect([host.toLowerCase(), `[${host}]`, name.replace(/^\[|\]$/g, '')]).toContain(name)
      }),
    )
  })
})
