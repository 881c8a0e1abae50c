import type { RequestListener } from 'node:http'
import { createServer, type Server } from 'node:https'
import type { AddressInfo } from 'node:net'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { RecordingLogger } from '@kest/core/testing'
import { afterEach, beforeAll, describe, expect, it } from 'vitest'
import { givenUp } from '../../tests/support/give-up.js'
import { makeAuthority, makeSvid, until } from '../../tests/support/material.js'
import type { Authority } from '../dev-authority/authority.js'
import {
  basicConstraints,
  extendedKeyUsage,
  extension,
  issueCertificate,
  keyUsage,
  name,
} from '../dev-authority/certificate.js'
import * as der from '../dev-authority/der.js'
import { generateKeys } from '../dev-authority/keys.js'
import { SpiffeError } from '../errors.js'
import { splitCertificates } from '../x509/certificate.js'
import { OID } from '../x509/oid.js'
import { createBundleSet } from './bundle-set.js'
import type { X509BundleSource } from './bundle-source.js'
import { type FederatedBundleOptions, followBundleEndpoint } from './federated-bundle.js'
import type { PolledBundleSource } from './polled-bundle.js'
import { parseSpiffeBundle } from './spiffe-bundle.js'

const ENDPOINT = 'spiffe://partner.example/spire/server'
let authority: Authority
let rogue: Authority
let server: Server | undefined
let source: PolledBundleSource | undefined
let requests = 0
let answer: RequestListener

beforeAll(async () => {
  ;[authority, rogue] = await Promise.all([
    makeAuthority('partner.example'),
    makeAuthority('partner.example'),
  ])
})

afterEach(() => {
  source?.close()
  source = undefined
  server?.closeAllConnections()
  server?.close()
  requests = 0
})

function document(sequence: number, ...authorities: readonly Authority[]): Record<string, unknown> {
  const keys = authorities.map(({ root, rootKeys }) => ({
    ...rootKeys.publicKey.export({ format: 'jwk' }),
    use: 'x509-svid',
    x5c: [Buffer.from(root).toString('base64')],
  }))
  return { keys, spiffe_sequence: sequence }
}

function pem(bytes: Uint8Array, label: string): string {
  return `-----BEGIN ${label}-----\n${Buffer.from(bytes).toString('base64')}\n-----END ${label}-----\n`
}

/** A bundle endpoint whose certificate is an SVID. */
async function serve(by: Authority = authority, id = ENDPOINT): Promise<string> {
  const { x509Svid, x509SvidKey } = await makeSvid(by, id)
  const cert = splitCertificates(x509Svid, 8)
    .map((certificate) => pem(certificate, 'CERTIFICATE'))
    .join('')
  return await serveAs(cert, pem(x509SvidKey, 'PRIVATE KEY'))
}

/** A bundle endpoint whose certificate is for its address, as those of the Web are for a name. */
async function serveWeb(by: Authority): Promise<string> {
  const { publicKey, privateKey } = await generateKeys('ec-p256')
  const address = der.tagged(7, Buffer.of(127, 0, 0, 1))
  const leaf = issueCertificate(
    {
      subject: name({ organization: 'Web' }),
      publicKey,
      notBefore: Date.now() - 10_000,
      notAfter: Date.now() + 3_600_000,
      extensions: [
        keyUsage(['digitalSignature']),
        extendedKeyUsage([OID.serverAuth]),
        basicConstraints(false),
        extension(OID.subjectAltName, false, der.sequence(address)),
      ],
    },
    by.issuer,
  )
  return await serveAs(
    pem(leaf, 'CERTIFICATE'),
    privateKey.export({ format: 'pem', type: 'pkcs8' }).toString(),
  )
}

async function serveAs(cert: string, key: string): Promise<string> {
  const own = createServer({ cert, key }, (request, response) => {
    requests++
    answer(request, response)
  })
  server = own
  await new Promise<void>((resolve) => own.listen(0, '127.0.0.1', resolve))
  return `https://127.0.0.1:${(own.address() as AddressInfo).port}/bundle`
}

function says(body: () => unknown): RequestListener {
  return (_request, response) => response.end(JSON.stringify(body()))
}

async function follow(
  url: string,
  options: Partial<FederatedBundleOptions> = {},
): Promise<PolledBundleSource> {
  source = await followBundleEndpoint({
    trustDomain: 'partner.example',
    url,
    profile: { type: 'https_spiffe', endpointId: ENDPOINT, bundle: document(1, authority) },
    refreshMs: 20,
    retryMs: 20,
    connectTimeoutMs: 60_000,
    logger: new RecordingLogger(),
    ...options,
  })
  return source
}

/** Why it could not be had. */
async function reasonFor(url: string, options: Partial<FederatedBundleOptions> = {}): Promise<unknown> {
  const { code, cause } = await givenUp((connectTimeoutMs) => follow(url, { ...options, connectTimeoutMs }))
  return cause?.code ?? code
}

describe('a bundle endpoint with https_spiffe', () => {
  it('is followed through a rotation of its own authority', async () => {
    let current = document(1, authority)
    answer = says(() => current)
    const followed = await follow(await serve())
    expect(followed.getX509Bundle('partner.example')?.has(authority.root)).toBe(true)
    expect(followed.getX509Bundle('example.org')).toBeUndefined()
    current = document(2, authority, rogue)
    await until(() => followed.getX509Bundle('partner.example')?.authorities.length === 2)
    // What was fetched last is what the endpoint is judged by: its own authority is no longer among it.
    current = document(3, rogue)
    await until(() => followed.status().error?.code === 'ERR_SPIFFE_CHAIN')
    expect(followed.getX509Bundle('partner.example')?.authorities).toHaveLength(1)
  })

  it('is refused, and asked nothing, when another authority signed for it', async () => {
    answer = says(() => document(1, rogue))
    const url = await serve(rogue)
    expect(await reasonFor(url)).toBe('ERR_SPIFFE_CHAIN')
    expect(requests).toBe(0)
  })

  it('is refused, and asked nothing, when it is somebody else of the same domain', async () => {
    answer = says(() => document(1, rogue))
    const url = await serve(authority, 'spiffe://partner.example/other')
    expect(await reasonFor(url)).toBe('ERR_SPIFFE_PEER')
    expect(requests).toBe(0)
  })

  it('does not bring back what was withdrawn', async () => {
    let current = document(5, authority)
    answer = says(() => current)
    const followed = await follow(await serve())
    current = document(4, authority, rogue)
    await until(() => followed.status().error?.code === 'ERR_SPIFFE_BUNDLE')
    expect(followed.getX509Bundle('partner.example')?.has(rogue.root)).toBe(false)
  })

  it('does not bring it back when the identity that verifies the endpoint was withdrawn meanwhile', async () => {
    let current = document(9, authority)
    answer = says(() => current)
    const known = createBundleSet({
      'endpoint.example': parseSpiffeBundle(document(1, authority), 'endpoint.example').x509,
    })
    let denied = false
    const bundle: X509BundleSource = {
      generation: 0,
      getX509Bundle: (name) => {
        if (denied) throw new SpiffeError('ERR_SPIFFE_DENIED', 'X.509 source: what it had was withdrawn')
        return known.getX509Bundle(name)
      },
    }
    const endpointId = 'spiffe://endpoint.example/server'
    const followed = await follow(await serve(authority, endpointId), {
      profile: { type: 'https_spiffe', endpointId, bundle },
    })
    denied = true
    await until(() => followed.status().error?.code === 'ERR_SPIFFE_UNAVAILABLE')
    current = document(1, authority, rogue)
    denied = false
    await until(() => followed.status().error?.code === 'ERR_SPIFFE_BUNDLE')
    expect(followed.getX509Bundle('partner.example')?.has(rogue.root)).toBe(false)
  })

  it('leaves other domains to others, also when it can be relied on no longer', async () => {
    answer = says(() => document(1, authority))
    const followed = await follow(await serve(), { maxStaleMs: 0 })
    server?.closeAllConnections()
    server?.close()
    await until(() => followed.status().staleSince !== null && followed.status().staleSince !== Date.now())
    expect(() => followed.getX509Bundle('partner.example')).toThrow(
      expect.objectContaining({ code: 'ERR_SPIFFE_STALE' }),
    )
    expect(followed.getX509Bundle('example.org')).toBeUndefined()
    expect(followed.getJwtBundle('example.org')).toBeUndefined()
  })

  it('is given up when it says nothing any more, whatever garbage is collected meanwhile', async () => {
    let silent = false
    answer = (request, response) => {
      if (!silent) says(() => document(1, authority))(request, response)
    }
    const followed = await follow(await serve(), { timeoutMs: 1_500 })
    silent = true
    setFlagsFromString('--expose-gc')
    const collect = runInNewContext('gc') as () => void
    await until(() => {
      collect()
      return followed.status().failures > 1
    })
    expect(followed.status().staleSince).not.toBeNull()
  })

  it('may redirect to an https URL, whose server is judged like the first', async () => {
    answer = (request, response) => {
      if (request.url === '/bundle') response.writeHead(302, { location: '/moved' }).end()
      else response.end(JSON.stringify(document(1, authority)))
    }
    expect((await follow(await serve())).getX509Bundle('partner.example')?.authorities).toHaveLength(1)
  })

  it.each<[string, RequestListener, string]>([
    [
      'redirects to http',
      (_, response) => response.writeHead(302, { location: 'http://127.0.0.1/' }).end(),
      'ERR_SPIFFE_UNAVAILABLE',
    ],
    [
      'redirects without end',
      (_, response) => response.writeHead(302, { location: '/' }).end(),
      'ERR_SPIFFE_UNAVAILABLE',
    ],
    ['answers another status', (_, response) => response.writeHead(404).end(), 'ERR_SPIFFE_UNAVAILABLE'],
    ['answers what is no bundle', (_, response) => response.end('<html>'), 'ERR_SPIFFE_BUNDLE'],
    ['answers too much', (_, response) => response.end(Buffer.alloc(5_000_000, ' ')), 'ERR_SPIFFE_BUNDLE'],
    [
      'breaks off',
      (_, response) =>
        response.writeHead(200, { 'content-length': 100 }).write('{') &&
        setTimeout(() => response.destroy(), 10),
      'ERR_SPIFFE_UNAVAILABLE',
    ],
  ])('that %s leaves its reason', async (_name, listener, code) => {
    answer = listener
    expect(await reasonFor(await serve())).toBe(code)
  })

  it('that does not answer leaves its reason', async () => {
    answer = () => {}
    expect(await reasonFor(await serve(), { timeoutMs: 100 })).toBe('ERR_SPIFFE_UNAVAILABLE')
  })
})

describe('a bundle endpoint with https_web', () => {
  it('is followed when a stated authority vouches for it, through a change of its bundle', async () => {
    const web = await makeAuthority('web.example')
    let current = document(1, authority)
    answer = says(() => current)
    const profile = { type: 'https_web', ca: pem(web.root, 'CERTIFICATE') } as const
    const followed = await follow(await serveWeb(web), { profile })
    expect(followed.getX509Bundle('partner.example')?.has(authority.root)).toBe(true)
    current = document(2, rogue)
    await until(() => followed.getX509Bundle('partner.example')?.has(rogue.root) === true)
    expect(followed.getX509Bundle('partner.example')?.has(authority.root)).toBe(false)
  })

  it('is refused, and asked nothing, when a stated authority is another than vouches for it', async () => {
    const web = await makeAuthority('web.example')
    answer = says(() => document(1, authority))
    const profile = { type: 'https_web', ca: pem(rogue.root, 'CERTIFICATE') } as const
    const url = await serveWeb(web)
    expect(await reasonFor(url, { profile })).toBe('ERR_SPIFFE_UNAVAILABLE')
    expect(requests).toBe(0)
  })

  it('is refused when nobody whom Node trusts vouches for it', async () => {
    answer = says(() => document(1, authority))
    const url = await serve()
    expect(await reasonFor(url, { profile: { type: 'https_web' } })).toBe('ERR_SPIFFE_UNAVAILABLE')
    expect(requests).toBe(0)
  })

  it('is refused when its certificate is not for its host', async () => {
    answer = says(() => document(1, authority))
    const url = await serve()
    const profile = { type: 'https_web', ca: pem(authority.root, 'CERTIFICATE') } as const
    expect(await reasonFor(url, { profile })).toBe('ERR_SPIFFE_UNAVAILABLE')
    expect(requests).toBe(0)
  })
})

it.each([
  ['an http URL', { url: 'http://127.0.0.1/' }, 'ERR_SPIFFE_CONFIG'],
  ['user information', { url: 'https://user:password@127.0.0.1/' }, 'ERR_SPIFFE_CONFIG'],
  ['another profile', { profile: { type: 'http' } as never }, 'ERR_SPIFFE_CONFIG'],
  ['no time at all', { refreshMs: 0 }, 'ERR_SPIFFE_CONFIG'],
  [
    'an endpoint ID that is none',
    { profile: { type: 'https_spiffe', endpointId: 'x', bundle: '{"keys":[]}' } as const },
    'ERR_SPIFFE_ID',
  ],
  [
    'a bundle that is none',
    { profile: { type: 'https_spiffe', endpointId: ENDPOINT, bundle: '{' } as const },
    'ERR_SPIFFE_BUNDLE',
  ],
])('refuses %s', async (_name, options, code) => {
  await expect(follow('https://127.0.0.1/', options)).rejects.toMatchObject({ code })
})
