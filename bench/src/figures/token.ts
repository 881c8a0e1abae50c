import { createTokenVerifier } from '@kest/core'
import { generateKeyPair, SignJWT } from 'jose'
import type { TimeFigure } from '../figure.js'

const ISSUER = 'https://id.example.org'
const AUDIENCE = 'https://orders.example.org'

interface TokenCase {
  readonly name: string
  readonly alg: 'ES256' | 'RS256'
  /** Whether the token was verified before. */
  readonly known: boolean
  readonly target: number
}

/** What a listener does about a bearer token: all of its checks, beside the one verification that they cannot do without. */
function tokenFigure({ name, alg, known, target }: TokenCase): TimeFigure {
  return {
    group: 'ingress',
    name,
    unit: 'µs',
    floor: `one ${alg} verification by WebCrypto`,
    target,
    async prepare() {
      const { privateKey, publicKey } = await generateKeyPair(alg)
      const jwt = await new SignJWT({ sub: 'alice', client_id: 'web', scope: 'orders:read orders:write' })
        .setProtectedHeader({ alg, typ: 'at+jwt' })
        .setIssuer(ISSUER)
        .setAudience(AUDIENCE)
        .setIssuedAt()
        .setExpirationTime('1d')
        .sign(privateKey)
      const dot = jwt.lastIndexOf('.')
      const signed = Buffer.from(jwt.slice(0, dot))
      const signature = Buffer.from(jwt.slice(dot + 1), 'base64url')
      const algorithm = alg === 'ES256' ? { name: 'ECDSA', hash: 'SHA-256' } : 'RSASSA-PKCS1-v1_5'
      const verify = createTokenVerifier({
        jwks: publicKey,
        issuer: ISSUER,
        audience: AUDIENCE,
        maxRemembered: known ? 1000 : 0,
      })
      const authorization = `Bearer ${jwt}`
      return {
        floor: () => crypto.subtle.verify(algorithm, publicKey, signature, signed),
        subject: () => verify(authorization),
      }
    },
  }
}

export const tokenES256: TimeFigure = tokenFigure({
  name: 'a bearer token, ES256',
  alg: 'ES256',
  known: false,
  target: 1.4,
})
export const tokenRS256: TimeFigure = tokenFigure({
  name: 'a bearer token, RS256',
  alg: 'RS256',
  known: false,
  target: 1.4,
})
export const tokenKnownES256: TimeFigure = tokenFigure({
  name: 'a bearer token that was verified before, ES256',
  alg: 'ES256',
  known: true,
  target: 0.05,
})
export const tokenKnownRS256: TimeFigure = tokenFigure({
  name: 'a bearer token that was verified before, RS256',
  alg: 'RS256',
  known: true,
  target: 0.05,
})
