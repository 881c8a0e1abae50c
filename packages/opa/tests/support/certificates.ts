import { generate } from 'selfsigned'

/** PEM. */
export interface Certified {
  readonly cert: string
  readonly key: string
}

/** Signs certificates for TLS, valid now. Throw-away keys, made when a test runs. */
export interface CertificateAuthority {
  /** Its own certificate, PEM. */
  readonly cert: string
  server(address: string): Promise<Certified>
  client(name: string): Promise<Certified>
}

const HOUR = 3_600_000

type Extensions = NonNullable<NonNullable<Parameters<typeof generate>[1]>['extensions']>

const OF_AUTHORITY: Extensions = [
  { name: 'basicConstraints', cA: true, critical: true },
  { name: 'keyUsage', keyCertSign: true, critical: true },
]

export async function createCertificateAuthority(name: string): Promise<CertificateAuthority> {
  const own = await issue(name, OF_AUTHORITY)
  return {
    cert: own.cert,
    server: (address) =>
      issue('server', [{ name: 'subjectAltName', altNames: [{ type: 7, ip: address }] }], own),
    client: (subject) => issue(subject, [{ name: 'extKeyUsage', clientAuth: true }], own),
  }
}

async function issue(name: string, extensions: Extensions, ca?: Certified): Promise<Certified> {
  const now = Date.now()
  const { cert, private: key } = await generate([{ name: 'commonName', value: name }], {
    keyType: 'ec',
    algorithm: 'sha256',
    extensions,
    notBeforeDate: new Date(now - HOUR),
    notAfterDate: new Date(now + HOUR),
    ...(ca === undefined ? {} : { ca }),
  })
  return { cert, key }
}
