import { afterEach, describe, expect, it, vi } from 'vitest'
import { parseWorkloadApiAddress } from './address.js'

describe('the address of the Workload API', () => {
  afterEach(() => {
    vi.unstubAllEnvs()
  })

  it.each([
    ['unix:///run/spire/agent.sock', 'unix:/run/spire/agent.sock'],
    ['unix:/run/spire/agent.sock', 'unix:/run/spire/agent.sock'],
    ['unix:///run/with%20space.sock', 'unix:/run/with space.sock'],
    ['tcp://127.0.0.1:8081', 'ipv4:127.0.0.1:8081'],
    ['tcp://[::1]:8081', 'ipv6:[::1]:8081'],
  ])('reads %s', (address, target) => {
    expect(parseWorkloadApiAddress(address)).toBe(target)
  })

  it.each([
    'blah',
    '\t',
    '/run/spire/agent.sock',
    'http://127.0.0.1:8081',
    'dns:///agent:80',
    'UNIX:///run/agent.sock',
    'unix:',
    'unix://',
    'unix:///',
    'unix:opaque',
    'unix:relative/agent.sock',
    'unix://host/agent.sock',
    'unix://user@host/agent.sock',
    'unix:////run/agent.sock',
    'unix:///run/agent.sock?query',
    'unix:///run/agent.sock#fragment',
    'unix:///run/%00.sock',
    'unix:///run/%zz.sock',
    `unix:///${'a'.repeat(104)}`,
    'tcp:opaque',
    'tcp://',
    'tcp://1.2.3.4',
    'tcp://1.2.3.4:',
    'tcp://1.2.3.4:0',
    'tcp://1.2.3.4:65536',
    'tcp://1.2.3:4',
    'tcp://256.2.3.4:5',
    'tcp://localhost:8081',
    'tcp://foo:8081',
    'tcp://::1:8081',
    'tcp://1.2.3.4:5/',
    'tcp://1.2.3.4:5/path',
    'tcp://1.2.3.4:5?query',
    'tcp://1.2.3.4:5#fragment',
    'tcp://user:password@1.2.3.4:5',
  ])('refuses %j', (address) => {
    expect(() => parseWorkloadApiAddress(address)).toThrow(
      expect.objectContaining({ code: 'ERR_SPIFFE_ADDRESS' }),
    )
  })

  it('is by default that of SPIFFE_ENDPOINT_SOCKET', () => {
    vi.stubEnv('SPIFFE_ENDPOINT_SOCKET', 'unix:///run/agent.sock')
    expect(parseWorkloadApiAddress()).toBe('unix:/run/agent.sock')
    vi.stubEnv('SPIFFE_ENDPOINT_SOCKET', undefined)
    expect(() => parseWorkloadApiAddress()).toThrow(/SPIFFE_ENDPOINT_SOCKET/)
  })
})
