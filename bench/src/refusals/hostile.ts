import { generateKeyPairSync, type KeyObject, randomBytes } from 'node:crypto'
import { deflateSync } from 'node:zlib'
import { DEFAULT_LIMITS } from '@kest/core'
import { certificates } from '../internals.js'
import { DOMAIN } from './world.js'

/** What Node takes of all headers, less what a request has besides. */
const ROOM = 15_500

/** As many members as a header has room for. */
export function members(text: string): string {
  return Array(Math.floor(ROOM / (text.length + 1)))
    .fill(text)
    .join(',')
}

/** A member of tier 2. */
export function compressed(json: string | readonly string[]): string {
  const text = typeof json === 'string' ? json : JSON.stringify(fitting(json))
  return `kest.passport_z=${deflateSync(text, { level: 9 }).toString('base64url')}`
}

/** As many of some entries as are read of a header. */
export function fitting(entries: readonly string[]): readonly string[] {
  let bytes = 1
  const end = entries.findIndex(({ length }) => {
    bytes += length + 3
    return bytes > DEFAULT_LIMITS.headerPassportBytes
  })
  return end === -1 ? entries : entries.slice(0, end)
}

/** What differs from an entry that was seen. */
interface Changes {
  readonly header?: object
  readonly metadata?: unknown
  readonly principal?: string
}

/** Entries that have the form of one that was seen, and that nobody signed. */
export function forged(
  seen: string,
  count: number,
  { header, metadata = null, principal }: Changes = {},
): string[] {
  const [ownHeader, payload = ''] = seen.split('.')
  const entry = JSON.parse(Buffer.from(payload, 'base64url').toString('utf8'))
  const labels = { ...entry.labels, ...(principal !== undefined && { principal }) }
  return Array.from({ length: count }, (_, i) => {
    const entry_id = `${entry.entry_id.slice(0, -4)}${(i + 0x1000).toString(16)}`
    const text = JSON.stringify({ ...entry, entry_id, labels, metadata })
    // Low, as ours are: a high one is refused for that.
    const signature = Buffer.concat([randomBytes(32), Buffer.from([1]), randomBytes(31)])
    const first = header === undefined ? ownHeader : base64url(JSON.stringify(header))
    return `${first}.${base64url(text)}.${signature.toString('base64url')}`
  })
}

export function base64url(text: string): string {
  return Buffer.from(text, 'utf8').toString('base64url')
}

/** `{ k0: 0, k1: 0, … }` */
export function manyMembers(count: number): object {
  return Object.fromEntries(Array.from({ length: count }, (_, i) => [`k${i}`, 0]))
}

/** What takes longest to parse, by its length. */
export const nested = (count: number): unknown[] => Array.from({ length: count }, () => [])
export const fractions = (count: number): unknown[] => Array.from({ length: count }, () => 1.5)

/**
 * A chain of four certificates that nobody vouches for, its last in an authority's name, in the base64 of `x5c`.
 * @param extensions that each has besides
 */
export function rogueChain(namedCurve: string, extensions = 0): string[] {
  const more = Array.from({ length: extensions }, (_, i) =>
    certificates.extension(`1.3.6.1.4.1.99999.${i}`, false, Buffer.from([5, 0])),
  )
  const keys = Array.from({ length: 4 }, () => generateKeyPairSync('ec', { namedCurve }))
  const nameOf = (i: number) => certificates.name({ organization: i === 4 ? 'SPIFFE' : `rogue ${i}` })
  const chain = keys.map(({ publicKey }, i) => {
    const signer = (keys[i + 1] ?? keys[i]) as { readonly privateKey: KeyObject }
    const leaf = [
      certificates.keyUsage(['digitalSignature']),
      certificates.basicConstraints(false),
      certificates.uriNames([`spiffe://${DOMAIN}/hop1`]),
    ]
    const signing = [certificates.keyUsage(['keyCertSign']), certificates.basicConstraints(true)]
    return certificates.issueCertificate(
      {
        subject: nameOf(i),
        publicKey,
        notBefore: Date.now() - 3_600_000,
        notAfter: Date.now() + 3_600_000,
        extensions: [...(i === 0 ? leaf : signing), ...more],
      },
      { subject: nameOf(i + 1), privateKey: signer.privateKey },
    )
  })
  return chain.map((der) => Buffer.from(der).toString('base64'))
}
