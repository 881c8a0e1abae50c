export { type BundleFileOptions, watchBundleFile } from './bundle/bundle-file.js'
export { type BundleMap, combineBundleSources, createBundleSet } from './bundle/bundle-set.js'
export type { JwtBundleSource, X509BundleSource } from './bundle/bundle-source.js'
export {
  type EndpointProfile,
  type FederatedBundleOptions,
  followBundleEndpoint,
} from './bundle/federated-bundle.js'
export { JwtBundle } from './bundle/jwt-bundle.js'
export { parsePemBundle } from './bundle/pem.js'
export type { PolledBundleSource } from './bundle/polled-bundle.js'
export { parseJwtBundle, parseSpiffeBundle, type SpiffeBundle } from './bundle/spiffe-bundle.js'
export { type BundleFacts, X509Bundle, type X509BundleDocument } from './bundle/x509-bundle.js'
export { SPIFFE_ERROR_CODES, SpiffeError, type SpiffeErrorCode } from './errors.js'
export { SpiffeId, TrustDomain } from './id/spiffe-id.js'
export { type Authorizer, anyId, memberOf, oneOf } from './mtls/authorizer.js'
export {
  type ConnectorRules,
  type ConnectTarget,
  createMtlsConnector,
  type MtlsConnector,
} from './mtls/connector.js'
export type { MtlsSource, PeerRules } from './mtls/peer-rules.js'
export { createMtlsServer } from './mtls/server.js'
export { createMtlsServerFactory, type MtlsServerFactory } from './mtls/server-factory.js'
export { SPIREProvider } from './provider/spire-provider.js'
export { BundleSource } from './source/bundle-source.js'
export type { SourceOptions } from './source/client-of.js'
export type { FollowOptions, SourceStatus } from './source/followed.js'
export { JWTSource, type JWTSourceOptions } from './source/jwt-source.js'
export { X509Source, type X509SourceOptions } from './source/x509-source.js'
export { type JwtSvid, parseJwtSvid, verifyJwtSvid } from './svid/jwt-svid.js'
export { parseX509Svid, type X509Svid } from './svid/x509-svid.js'
export { createX509KeySource, type X509KeySourceOptions } from './verification/key-source.js'
export { type VerifiedChain, type VerifyChainOptions, verifyX509Chain } from './verification/verify-chain.js'
export { ENDPOINT_VARIABLE, parseWorkloadApiAddress } from './workload-api/address.js'
export { type Backoff, createBackoff } from './workload-api/backoff.js'
export { type CallLimits, WorkloadApiClient, type WorkloadApiOptions } from './workload-api/client.js'
export type { JwtBundlesState } from './workload-api/jwt-state.js'
export type { Problem } from './workload-api/problem.js'
export type { Stop, Watcher } from './workload-api/watch.js'
export type { X509BundlesState, X509State } from './workload-api/x509-state.js'
