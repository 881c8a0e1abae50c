/** JWS algorithms of K-ALG. `RS256` is accepted when verifying and never written. */
export type JwsAlgorithm = 'EdDSA' | 'ES256' | 'ES384' | 'PS256' | 'RS256'
export type SigningAlgorithm = Exclude<JwsAlgorithm, 'RS256'>

/** A protected header that passed the strict checks of K-STRICT. Unknown members are kept: they are signed. */
export interface JwsHeader {
  readonly alg: JwsAlgorithm
  readonly typ: string
  readonly kid?: string
  /** DER certificates, base64, leaf first, without the root (RFC 7515 §4.1.6, K-X5C). */
  readonly x5c?: readonly string[]
}
