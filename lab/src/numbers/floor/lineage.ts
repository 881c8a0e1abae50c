import {
  createHash,
  type KeyObject,
  randomBytes,
  randomUUID,
  sign,
  verify,
  X509Certificate,
} from 'node:crypto'
import { deflateSync, inflateSync } from 'node:zlib'
import type { X509Svid } from '@kest/spiffe'
import { fromDer, toDer } from './ecdsa.js'

/** An entry that was verified. */
export interface Link {
  readonly jws: string
  readonly hash: string
  readonly payload: {
    readonly operation: string
    readonly classification: string
    readonly trust_score: number
    readonly parent_ids: readonly string[]
    readonly labels: { readonly principal: string; readonly trace_id: string }
  }
}

export interface Lineage {
  /** What came with a request: inflated, parsed, each entry verified, and linked to the one before it. */
  read(baggage: string): readonly Link[]
  /** One entry more, signed. @returns the passport with it */
  sign(links: readonly Link[], item: string): readonly string[]
}

/** The policies whose names stand in every entry of the lab (`docker/kest/deployment.yaml`). */
const ENTERPRISE = 'enterprise/no_embargoed_item'
const PLATFORM = 'platform/minimum_trust'
/** What all tiers of the lab's policies in process are decided by: as long, and nothing's digest. */
const REVISION = `rego-wasm:sha256:${'0'.repeat(64)}`
const REVISIONS = JSON.stringify({ enterprise: [REVISION], function: [REVISION], platform: [REVISION] })
const PLAIN = 'kest.passport='
const COMPRESSED = 'kest.passport_z='
const TIP = 'kest.chain_tip='

/**
 * The least that a service can do that hands on signed lineage, by plain APIs of Node: the same bytes and the same cryptography
 * as Kest's, and nothing beside. Nothing is bounded, no certificate leads anywhere, nothing refuses by a code: a floor to
 * measure by, and nothing to be used.
 */
export function createLineage({ id, certificates, privateKey }: X509Svid, policy: string): Lineage {
  const principal = id.toString()
  const x5c = certificates.map((der) => Buffer.from(der).toString('base64'))
  const header = base64url(JSON.stringify({ alg: 'ES256', typ: 'JWS', x5c }))
  const process = randomUUID()
  /** By the header of an entry: the certificate in it is parsed once. */
  const keys = new Map<string, KeyObject>()
  let sequence = 0

  function keyOf(segment: string): KeyObject {
    let key = keys.get(segment)
    if (key === undefined) {
      const { x5c: chain } = parse(segment) as { readonly x5c: readonly [string] }
      key = new X509Certificate(Buffer.from(chain[0], 'base64')).publicKey
      keys.set(segment, key)
    }
    return key
  }

  function readEntry(jws: string, parent: string): Link {
    const [head = '', body = '', signature = ''] = jws.split('.')
    const der = toDer(Buffer.from(signature, 'base64url'))
    if (!verify('sha256', Buffer.from(`${head}.${body}`), keyOf(head), der))
      throw new Error('not signed by it')
    const payload = parse(body) as Link['payload']
    if (payload.parent_ids[0] !== parent) throw new Error('not linked to the entry before it')
    return { jws, hash: sha256(jws), payload }
  }

  return {
    read(baggage) {
      const members = baggage.split(',')
      const links: Link[] = []
      let tip = '0'
      for (const jws of readPassport(members)) {
        const link = readEntry(jws, tip)
        links.push(link)
        tip = link.hash
      }
      if (tip !== memberOf(members, TIP)) throw new Error('its end was cut off')
      return links
    },
    sign(links, item) {
      const last = links.at(-1)
      const context = sha256(item)
      // In the order of RFC 8785.
      const payload = {
        added_taints: [],
        classification: 'system',
        content_hash: '',
        entry_id: uuidV7(),
        environment: {},
        input_hash: '',
        labels: {
          item,
          'kest.context': context,
          'kest.resource_attr': JSON.stringify({ id: item }),
          'kest.revisions': REVISIONS,
          'kest.seq': `${process}:${++sequence}`,
          'kest.source': last === undefined ? 'user_input' : 'internal',
          principal,
          trace_id: last?.payload.labels.trace_id ?? randomBytes(16).toString('hex'),
        },
        metadata: null,
        operation: 'GET /',
        otel_context: {},
        parent_ids: [last?.hash ?? '0'],
        policy_context: {
          app_policies: [],
          deviations: [],
          enterprise_policies: [ENTERPRISE],
          function_policies: [policy],
          platform_policies: [PLATFORM],
        },
        removed_taints: [],
        runtime: { name: 'kest-typescript', version: '0.1.0' },
        schema_version: '0.3.0',
        taints: [],
        timestamp_ms: Date.now(),
        trust_score: last?.payload.trust_score ?? 40,
      }
      const input = `${header}.${base64url(JSON.stringify(payload))}`
      const signature = fromDer(sign('sha256', Buffer.from(input), privateKey))
      return [...links.map(({ jws }) => jws), `${input}.${signature.toString('base64url')}`]
    },
  }
}

/**
 * The `baggage` that goes on.
 *
 * @param longest characters of a member that is not compressed
 */
export function writeBaggage(passport: readonly string[], longest = 4096): string {
  const plain = `${PLAIN}%5B%22${passport.join('%22%2C%22')}%22%5D`
  const member = plain.length <= longest ? plain : `${COMPRESSED}${compress(JSON.stringify(passport))}`
  return `${member},${TIP}${sha256(passport.at(-1) ?? '')}`
}

function readPassport(members: readonly string[]): readonly string[] {
  const plain = memberOf(members, PLAIN)
  const text =
    plain === undefined
      ? inflateSync(Buffer.from(memberOf(members, COMPRESSED) ?? '', 'base64url')).toString()
      : decodeURIComponent(plain)
  return JSON.parse(text) as string[]
}

function compress(text: string): string {
  return deflateSync(text, { level: 9 }).toString('base64url')
}

function memberOf(members: readonly string[], key: string): string | undefined {
  return members.find((one) => one.startsWith(key))?.slice(key.length)
}

function parse(segment: string): unknown {
  return JSON.parse(Buffer.from(segment, 'base64url').toString())
}

function base64url(text: string): string {
  return Buffer.from(text).toString('base64url')
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}

function uuidV7(): string {
  const time = Date.now().toString(16).padStart(12, '0')
  return `${time.slice(0, 8)}-${time.slice(8)}-7${randomUUID().slice(15)}`
}
