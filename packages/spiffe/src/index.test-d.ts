import type { IdentityProvider, KeySource } from '@kest/core'
import {
  type Backoff,
  BundleSource,
  combineBundleSources,
  createBackoff,
  createBundleSet,
  createX509KeySource,
  followBundleEndpoint,
  JWTSource,
  type JwtBundleSource,
  type JwtSvid,
  SPIREProvider,
  SpiffeError,
  type SpiffeErrorCode,
  SpiffeId,
  TrustDomain,
  verifyJwtSvid,
  WorkloadApiClient,
  watchBundleFile,
  type X509BundleSource,
  X509Source,
  type X509Svid,
} from './index.js'

// Sources stand where their interfaces are wanted.
const source = await X509Source.connect({ address: 'unix:///run/agent.sock', maxStaleMs: 60_000 })
export const asBundles: X509BundleSource = source
export const trust: KeySource = createX509KeySource(combineBundleSources(source, createBundleSet({})))
export const identity: IdentityProvider = SPIREProvider.of(source)
export const jwt: JwtBundleSource = await JWTSource.connect()
export const svid: X509Svid = source.current()
export const token: Promise<JwtSvid> = verifyJwtSvid('…', jwt, { audience: 'me' })

// The caller picks among several.
await SPIREProvider.connect({ pick: (svids) => svids.find(({ hint }) => hint === 'internal') })
// @ts-expect-error one, not several
await X509Source.connect({ pick: (svids) => svids })

// A client, or the options of one.
const client = new WorkloadApiClient()
await BundleSource.connect({ client })
// @ts-expect-error not both
await BundleSource.connect({ client, address: 'unix:///run/agent.sock' })
// @ts-expect-error no such option
await X509Source.connect({ socket: '/run/agent.sock' })

export const backoff: () => Backoff = createBackoff
await X509Source.connect({ backoff })

await followBundleEndpoint({
  trustDomain: 'a.example',
  url: 'https://a.example/',
  profile: { type: 'https_web' },
})
await followBundleEndpoint({
  trustDomain: 'a.example',
  url: 'https://a.example/',
  // @ts-expect-error an endpoint with an SVID needs its ID and a bundle
  profile: { type: 'https_spiffe' },
})
// @ts-expect-error whose bundle it is must be said
await watchBundleFile('bundle.json', {})

// IDs are made by parsing alone.
export const id: SpiffeId = SpiffeId.parse('spiffe://example.org/hop1')
// @ts-expect-error private
new SpiffeId('spiffe://example.org/hop1')
// @ts-expect-error private
new TrustDomain('example.org')
// @ts-expect-error fixed
id.path = '/hop2'
// @ts-expect-error the key is not for setting
svid.privateKey = createBundleSet

// @ts-expect-error codes are a closed set
export const unknown: SpiffeErrorCode = 'ERR_SPIFFE_OTHER'
export const codeOf = (error: unknown): SpiffeErrorCode | null =>
  error instanceof SpiffeError ? error.code : null
