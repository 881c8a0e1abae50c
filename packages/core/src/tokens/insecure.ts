import { decodeJwt, type JWTPayload } from 'jose'
import { KestConfigError, KestError } from '../errors.js'
import type { Logger } from '../telemetry/logger.js'

/**
 * A JWT → its claims, nothing of it checked. For development.
 * @throws {KestConfigError} with `NODE_ENV=production`
 */
export function createInsecureDecoder(logger: Logger): (jwt: string) => JWTPayload {
  if (process.env['NODE_ENV'] === 'production') {
    throw new KestConfigError('token.insecureDecode: refused with NODE_ENV=production')
  }
  logger.warn(
    { option: 'token.insecureDecode' },
    'INSECURE: bearer tokens are read and not verified; whoever calls says who he is',
  )
  return (jwt) => {
    try {
      return decodeJwt(jwt)
    } catch (cause) {
      throw new KestError('ERR_KEST_TOKEN', 'the bearer token is not a JWT', { cause })
    }
  }
}
