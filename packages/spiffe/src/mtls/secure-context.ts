import { constants } from 'node:crypto'
import type { SecureContextOptions } from 'node:tls'
import type { X509Svid } from '../svid/x509-svid.js'

/**
 * What every context of ours has. No authority is in it: certificates are verified domain by domain, not by Node. No
 * tickets: each connection shows its certificates anew, and once.
 */
export const CONTEXT_OPTIONS: Readonly<SecureContextOptions> = Object.freeze({
  ca: [],
  minVersion: 'TLSv1.2',
  secureOptions: constants.SSL_OP_NO_TICKET | constants.SSL_OP_NO_RENEGOTIATION,
})

/** Key and certificates of one SVID, as Node wants them. Nobody else keeps them. */
export function contextOptionsOf({ certificates, privateKey }: X509Svid): SecureContextOptions {
  return {
    ...CONTEXT_OPTIONS,
    cert: certificates.map(toPem).join(''),
    key: privateKey.export({ format: 'pem', type: 'pkcs8' }),
  }
}

function toPem(der: Uint8Array): string {
  const lines = Buffer.from(der)
    .toString('base64')
    .match(/.{1,64}/g) as string[]
  return `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`
}
