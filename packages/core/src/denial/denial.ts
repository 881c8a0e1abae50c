import type { JsonValue } from '../entry/entry.js'
import { KestError, type KestErrorCode } from '../errors.js'

/** The payload of a signed denial, exactly as it is signed (K-DENIAL). It states only what its principal had verified. */
export interface KestDenial {
  /** UUID v7, lowercase: the id that the entry would have had, where it came so far. */
  readonly denial_id: string
  /** Who refused. */
  readonly principal: string
  readonly operation: string
  /** Why; of releases to come, perhaps a code that is not known here. */
  readonly code: KestErrorCode | (string & {})
  /** Those that did not allow; none where it was not for a policy. */
  readonly policies: readonly string[]
  /** Hashes of the entries that it would have built on; none where nothing was verified. */
  readonly parents: readonly string[]
  /** Of those; `null` where nothing was verified. */
  readonly trace_id: string | null
  /** `<process uuid>:<n>`, counting the signed denials of this principal in this process. */
  readonly n: string
  /** Milliseconds since the epoch; the signer's word. */
  readonly timestamp_ms: number
  /** How many refusals before it were not signed, since there were too many; left out where there were none. */
  readonly unsigned?: number
}

const REQUIRED = [
  'denial_id',
  'principal',
  'operation',
  'code',
  'policies',
  'parents',
  'trace_id',
  'n',
  'timestamp_ms',
] as const satisfies readonly (keyof KestDenial)[]
const MEMBERS: ReadonlySet<string> = new Set<keyof KestDenial>([...REQUIRED, 'unsigned'])

const UUID_V7 = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/
const CODE = /^ERR_KEST_[A-Z0-9_]{1,64}$/
const HASH = /^[0-9a-f]{64}$/
const TRACE_ID = /^(?!0{32})[0-9a-f]{32}$/
const NUMBER = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}:[1-9]\d{0,14}$/

/** How each member must look. */
const HOLDS: { readonly [Name in keyof Required<KestDenial>]: (value: JsonValue) => boolean } = {
  denial_id: (value) => matches(value, UUID_V7),
  principal: isName,
  operation: isName,
  code: (value) => matches(value, CODE),
  policies: (value) => Array.isArray(value) && value.every(isName),
  parents: (value) =>
    Array.isArray(value) &&
    value.every((hash) => matches(hash, HASH)) &&
    new Set(value).size === value.length,
  trace_id: (value) => value === null || matches(value, TRACE_ID),
  n: (value) => matches(value, NUMBER),
  timestamp_ms: (value) => Number.isSafeInteger(value) && (value as number) >= 0,
  unsigned: (value) => Number.isSafeInteger(value) && (value as number) >= 1,
}

/**
 * Narrows a payload to a denial: every member with its exact type, and no others. What has the members of an entry as well is
 * neither.
 *
 * @throws {KestError} `ERR_KEST_ENTRY_SCHEMA`, naming the member
 */
export function assertDenial(payload: JsonValue): asserts payload is JsonValue & KestDenial {
  if (typeof payload !== 'object' || payload === null || Array.isArray(payload))
    throw violation('a denial is an object')
  for (const name of REQUIRED) if (!Object.hasOwn(payload, name)) throw violation(`${name} is absent`)
  for (const [name, value] of Object.entries(payload)) {
    if (!MEMBERS.has(name)) throw violation('a member is none of a denial')
    if (!HOLDS[name as keyof KestDenial](value)) throw violation(`${name} is not what it must be`)
  }
}

function matches(value: JsonValue, pattern: RegExp): boolean {
  return typeof value === 'string' && pattern.test(value)
}

function isName(value: JsonValue): boolean {
  return typeof value === 'string' && value !== ''
}

function violation(why: string): KestError {
  return new KestError('ERR_KEST_ENTRY_SCHEMA', `denial: ${why}`)
}
