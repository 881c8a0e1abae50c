import { KestError } from '../errors.js'
import { parseIdentityLabel } from '../trust/identity-label.js'
import { type JsonValue, type KestEntry, LABEL, ROOT_PARENT, SCHEMA_VERSION } from './entry.js'

const UUID_V7 = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/
const HASH = /^[0-9a-f]{64}$/
const TRACE_ID = /^(?!0{32})[0-9a-f]{32}$/

type Members = { readonly [name: string]: JsonValue }

/**
 * Narrows a payload to an entry: every field of SPEC §3.1 with its exact type (F-AE-04…13, K-STRICT). Members it does
 * not know are tolerated: they are signed.
 *
 * @throws {KestError} `ERR_KEST_ENTRY_SCHEMA`, naming the field
 */
export function assertEntry(payload: JsonValue): asserts payload is JsonValue & KestEntry {
  if (!isObject(payload)) throw violation('the payload', 'an object', payload)
  field(payload, 'schema_version', `"${SCHEMA_VERSION}"`, (value) => value === SCHEMA_VERSION)
  field(payload, 'runtime', '{name, version}', isRuntime)
  field(payload, 'entry_id', 'a lowercase UUID v7', (value) => matches(value, UUID_V7))
  field(payload, 'operation', 'a name', isName)
  field(payload, 'classification', 'text', isText)
  field(payload, 'trust_score', 'an integer 0…100', isScore)
  field(payload, 'parent_ids', '["0"], or hashes without repeats', isParents)
  field(payload, 'added_taints', 'a list of text', isTexts)
  field(payload, 'removed_taints', 'a list of text', isTexts)
  field(payload, 'taints', 'a list of text without repeats', (value) => isTexts(value) && isDistinct(value))
  field(payload, 'labels', 'an object of text', isLabels)
  assertLabels(payload['labels'] as Readonly<Record<string, string>>)
  field(payload, 'policy_context', 'all five parts', isPolicyContext)
  field(payload, 'environment', 'an object', isObject)
  field(payload, 'otel_context', 'an object', isObject)
  field(payload, 'metadata', 'any value, or null', () => true)
  field(payload, 'content_hash', 'a hash, or ""', isHashOrEmpty)
  field(payload, 'input_hash', 'a hash, or ""', isHashOrEmpty)
  field(payload, 'timestamp_ms', 'a safe integer ≥ 0', isTimestamp)
}

function field(of: Members, name: string, expected: string, holds: (value: JsonValue) => boolean): void {
  const value = Object.hasOwn(of, name) ? of[name] : undefined
  if (value === undefined || !holds(value)) throw violation(name, expected, value)
}

function assertLabels(labels: Readonly<Record<string, string>>): void {
  const { [LABEL.principal]: principal, [LABEL.traceId]: traceId, [LABEL.identity]: identity } = labels
  if (!isName(principal)) throw violation('labels.principal', 'a name', principal)
  if (traceId !== undefined && !TRACE_ID.test(traceId)) {
    throw violation('labels.trace_id', '32 lowercase hex digits, not all zero', traceId)
  }
  if (identity !== undefined) parseIdentityLabel(identity)
  assertSubject(labels, principal)
}

/** Who reads the two labels reads the principal that the signature was checked for (K-OIDCID). */
function assertSubject(labels: Readonly<Record<string, string>>, principal: string): void {
  const { [LABEL.iss]: iss, [LABEL.sub]: sub } = labels
  if (iss === undefined && sub === undefined) return
  if (iss === undefined || sub === undefined || iss.includes('#') || `${iss}#${sub}` !== principal)
    throw violation('labels.principal', '"<kest.iss>#<kest.sub>"', principal)
}

function isRuntime(value: JsonValue): boolean {
  return isObject(value) && isText(value['name']) && isText(value['version'])
}

function isParents(value: JsonValue): boolean {
  if (!Array.isArray(value) || value.length === 0) return false
  if (value.length === 1 && value[0] === ROOT_PARENT) return true
  return value.every((parent) => matches(parent, HASH)) && isDistinct(value)
}

function isLabels(value: JsonValue): boolean {
  return isObject(value) && Object.values(value).every(isText)
}

function isPolicyContext(value: JsonValue): boolean {
  return (
    isObject(value) &&
    isTexts(value['enterprise_policies']) &&
    isTexts(value['platform_policies']) &&
    isTexts(value['app_policies']) &&
    isTexts(value['function_policies']) &&
    Array.isArray(value['deviations']) &&
    value['deviations'].every(isDeviation)
  )
}

function isDeviation(value: JsonValue): boolean {
  return (
    isObject(value) &&
    isText(value['policy']) &&
    isText(value['tier']) &&
    isText(value['reason']) &&
    isText(value['approver'])
  )
}

function isScore(value: JsonValue): boolean {
  return Number.isInteger(value) && (value as number) >= 0 && (value as number) <= 100
}

function isTimestamp(value: JsonValue): boolean {
  return Number.isSafeInteger(value) && (value as number) >= 0
}

function isHashOrEmpty(value: JsonValue): boolean {
  return value === '' || matches(value, HASH)
}

function matches(value: unknown, pattern: RegExp): boolean {
  return typeof value === 'string' && pattern.test(value)
}

function isName(value: unknown): value is string {
  return typeof value === 'string' && value !== ''
}

function isText(value: unknown): value is string {
  return typeof value === 'string'
}

function isTexts(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every(isText)
}

function isDistinct(values: readonly unknown[]): boolean {
  return values.length < 2 || new Set(values).size === values.length
}

function isObject(value: JsonValue): value is Members {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function violation(name: string, expected: string, value: unknown): KestError {
  const got = value === undefined ? 'nothing' : JSON.stringify(value).slice(0, 80)
  return new KestError('ERR_KEST_ENTRY_SCHEMA', `${name}: expected ${expected}, got ${got}`)
}
