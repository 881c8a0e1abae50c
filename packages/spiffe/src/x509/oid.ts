/** Object identifiers: extensions (RFC 5280 §4.2), purposes, keys (RFC 5480), signature algorithms (RFC 4055, 5758, 8410). */
export const OID = {
  keyUsage: '2.5.29.15',
  subjectAltName: '2.5.29.17',
  basicConstraints: '2.5.29.19',
  nameConstraints: '2.5.29.30',
  certificatePolicies: '2.5.29.32',
  extendedKeyUsage: '2.5.29.37',
  serverAuth: '1.3.6.1.5.5.7.3.1',
  clientAuth: '1.3.6.1.5.5.7.3.2',
  ecPublicKey: '1.2.840.10045.2.1',
  p256: '1.2.840.10045.3.1.7',
  p384: '1.3.132.0.34',
  ecdsaSha256: '1.2.840.10045.4.3.2',
  ecdsaSha384: '1.2.840.10045.4.3.3',
  ecdsaSha512: '1.2.840.10045.4.3.4',
  ed25519: '1.3.101.112',
  rsaSha256: '1.2.840.113549.1.1.11',
  rsaSha384: '1.2.840.113549.1.1.12',
  rsaSha512: '1.2.840.113549.1.1.13',
  rsaPss: '1.2.840.113549.1.1.10',
  sha1: '1.3.14.3.2.26',
  sha256: '2.16.840.1.101.3.4.2.1',
  sha384: '2.16.840.1.101.3.4.2.2',
  sha512: '2.16.840.1.101.3.4.2.3',
} as const

/** The contents of an identifier, DER (X.690 §8.19). */
export function encodeOid(name: string): Buffer {
  const [first = 0, second = 0, ...arcs] = name.split('.').map(Number)
  return Buffer.from([first * 40 + second, ...arcs].flatMap(base128))
}

function base128(arc: number): number[] {
  const septets = [arc % 128]
  for (let rest = Math.floor(arc / 128); rest > 0; rest = Math.floor(rest / 128))
    septets.unshift((rest % 128) | 0x80)
  return septets
}

const NAMES: ReadonlyMap<string, string> = new Map(
  Object.values(OID).map((name) => [encodeOid(name).toString('latin1'), name]),
)
const KNOWN: ReadonlySet<string> = new Set(NAMES.values())

/**
 * The name of an identifier. It is known by its bytes: of a parser's arcs, which wrap around, another's may come out the
 * same.
 *
 * @param otherwise how a parser calls it
 */
export function oidText(contents: Buffer, otherwise: () => string): string {
  const known = NAMES.get(contents.toString('latin1'))
  if (known !== undefined) return known
  const name = otherwise()
  return KNOWN.has(name) ? `0x${contents.toString('hex')}` : name
}
