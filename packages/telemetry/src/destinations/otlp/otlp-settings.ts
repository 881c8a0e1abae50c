import { readFileSync } from 'node:fs'
import { validateHeaderName, validateHeaderValue } from 'node:http'
import { KestConfigError } from '@kest/core'
import { keyValuesOf } from '../../key-values.js'
import { LONGEST_TIMER_MS } from '../../longest-timer.js'

const PATH = 'v1/traces'
const PROTOCOLS = ['http/json', 'http/protobuf'] as const

/** How spans are written for OTLP over HTTP. */
export type OtlpProtocol = (typeof PROTOCOLS)[number]

export interface OtlpSettings {
  /** Where to post. */
  readonly url: string
  /** Names in small letters. */
  readonly headers: Readonly<Record<string, string>>
  /** For one attempt. */
  readonly timeoutMs: number
  readonly protocol: OtlpProtocol
  /** By gzip. */
  readonly compressed: boolean
  /** PEM: whom to trust instead of the system's, and who we are. */
  readonly tls: { readonly ca?: Buffer; readonly cert?: Buffer; readonly key?: Buffer }
}

const DEFAULT_TIMEOUT_MS = 10_000

/**
 * What was stated, else what the environment says (`OTEL_EXPORTER_OTLP_TRACES_…`, else `OTEL_EXPORTER_OTLP_…`). A mistake
 * in it never leads to a default.
 *
 * @throws {KestConfigError} for an endpoint that is no URL of http or https, a protocol or compression that is not spoken
 *   here, a time-out or a header that is none, or a certificate that cannot be read
 */
export function otlpSettings(
  stated: {
    readonly endpoint: string | undefined
    readonly headers: Readonly<Record<string, string>> | undefined
    readonly timeoutMs: number | undefined
    readonly protocol: string | undefined
  },
  env: NodeJS.ProcessEnv,
): OtlpSettings {
  const { endpoint, headers } = stated
  const protocol = stated.protocol ?? ofEnvironment('PROTOCOL', env)?.value ?? 'http/json'
  if (!isSpoken(protocol)) {
    throw new KestConfigError(
      `protocol: expected ${PROTOCOLS.join(' or ')}, got "${protocol}"; for others pass an OpenTelemetry exporter`,
    )
  }
  return {
    url: urlOf(endpoint, env),
    headers: headersOf(headers, env),
    timeoutMs: stated.timeoutMs ?? timeoutOf(env),
    protocol,
    compressed: isCompressed(env),
    tls: {
      ...fileOf('ca', 'CERTIFICATE', env),
      ...fileOf('cert', 'CLIENT_CERTIFICATE', env),
      ...fileOf('key', 'CLIENT_KEY', env),
    },
  }
}

/** The variable of traces, else the one of all signals. */
function ofEnvironment(
  what: string,
  env: NodeJS.ProcessEnv,
): { readonly name: string; readonly value: string } | null {
  for (const name of [`OTEL_EXPORTER_OTLP_TRACES_${what}`, `OTEL_EXPORTER_OTLP_${what}`]) {
    const value = nonEmpty(env[name])
    if (value !== undefined) return { name, value }
  }
  return null
}

function timeoutOf(env: NodeJS.ProcessEnv): number {
  const stated = ofEnvironment('TIMEOUT', env)
  if (stated === null) return DEFAULT_TIMEOUT_MS
  const timeoutMs = Number(stated.value)
  if (Number.isInteger(timeoutMs) && timeoutMs >= 1 && timeoutMs <= LONGEST_TIMER_MS) return timeoutMs
  throw new KestConfigError(
    `${stated.name}: expected milliseconds, an integer from 1 to ${LONGEST_TIMER_MS}, got "${stated.value}"`,
  )
}

/** Those of the environment are combined; what is stated goes before them. */
function headersOf(
  stated: Readonly<Record<string, string>> = {},
  env: NodeJS.ProcessEnv,
): Record<string, string> {
  const headers = new Map<string, string>()
  const all = {
    OTEL_EXPORTER_OTLP_HEADERS: keyValuesOf('OTEL_EXPORTER_OTLP_HEADERS', env),
    OTEL_EXPORTER_OTLP_TRACES_HEADERS: keyValuesOf('OTEL_EXPORTER_OTLP_TRACES_HEADERS', env),
    headers: stated,
  }
  for (const [from, pairs] of Object.entries(all)) {
    for (const [name, value] of Object.entries(pairs)) {
      assertHeader(from, name, value)
      headers.set(name.toLowerCase(), value)
    }
  }
  return Object.fromEntries(headers)
}

/** The value may be a secret, and is not shown. */
function assertHeader(from: string, name: string, value: string): void {
  try {
    validateHeaderName(name)
    validateHeaderValue(name, value)
  } catch (cause) {
    throw new KestConfigError(`${from}: "${name}" is no header, or its value is none`, { cause })
  }
}

function isCompressed(env: NodeJS.ProcessEnv): boolean {
  const stated = ofEnvironment('COMPRESSION', env)
  if (stated === null || stated.value === 'none') return false
  if (stated.value === 'gzip') return true
  throw new KestConfigError(`${stated.name}: expected gzip or none, got "${stated.value}"`)
}

function fileOf(option: 'ca' | 'cert' | 'key', what: string, env: NodeJS.ProcessEnv): OtlpSettings['tls'] {
  const stated = ofEnvironment(what, env)
  if (stated === null) return {}
  try {
    return { [option]: readFileSync(stated.value) }
  } catch (cause) {
    throw new KestConfigError(`${stated.name}: ${stated.value} cannot be read`, { cause })
  }
}

function urlOf(endpoint: string | undefined, env: NodeJS.ProcessEnv): string {
  const own = nonEmpty(env['OTEL_EXPORTER_OTLP_TRACES_ENDPOINT'])
  if (endpoint === undefined && own !== undefined)
    return parse('OTEL_EXPORTER_OTLP_TRACES_ENDPOINT', own).href
  const general = nonEmpty(env['OTEL_EXPORTER_OTLP_ENDPOINT'])
  if (endpoint === undefined && general !== undefined) {
    const url = parse('OTEL_EXPORTER_OTLP_ENDPOINT', general)
    url.pathname = `${url.pathname.replace(/\/$/, '')}/${PATH}`
    return url.href
  }
  const url = parse('endpoint', endpoint ?? 'http://localhost:4318')
  if (url.pathname === '/') url.pathname = PATH
  return url.href
}

function parse(name: string, value: string): URL {
  const url = URL.canParse(value) ? new URL(value) : null
  if (url?.protocol === 'http:' || url?.protocol === 'https:') return url
  throw new KestConfigError(`${name}: expected a URL of http or https, got "${value}"`)
}

function isSpoken(protocol: string): protocol is OtlpProtocol {
  return (PROTOCOLS as readonly string[]).includes(protocol)
}

/** OpenTelemetry takes an empty variable as unset. */
function nonEmpty(value: string | undefined): string | undefined {
  return value === undefined || value.trim() === '' ? undefined : value.trim()
}
