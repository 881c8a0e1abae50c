import { KestConfigError } from '@kest/core'
import { LONGEST_TIMER_MS } from '../../longest-timer.js'

const PATH = 'v1/traces'
const PROTOCOLS = ['http/json', 'http/protobuf'] as const

/** How spans are written for OTLP over HTTP. */
export type OtlpProtocol = (typeof PROTOCOLS)[number]

export interface OtlpSettings {
  /** Where to post. */
  readonly url: string
  /** Beside those of the environment. */
  readonly headers: Readonly<Record<string, string>> | undefined
  readonly timeoutMs: number | undefined
  readonly protocol: OtlpProtocol
}

/**
 * What was stated, else what the environment says (`OTEL_EXPORTER_OTLP_TRACES_…`, else `OTEL_EXPORTER_OTLP_…`). Headers,
 * compression and certificates the exporter reads itself; the rest is read here because a mistake in it must not lead to
 * a default.
 *
 * @throws {KestConfigError} for an endpoint that is no URL of http or https, a protocol that is not spoken here, or a
 *   time-out that is none
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
  const protocol =
    stated.protocol ??
    nonEmpty(env['OTEL_EXPORTER_OTLP_TRACES_PROTOCOL']) ??
    nonEmpty(env['OTEL_EXPORTER_OTLP_PROTOCOL']) ??
    'http/json'
  if (!isSpoken(protocol)) {
    throw new KestConfigError(
      `protocol: expected ${PROTOCOLS.join(' or ')}, got "${protocol}"; for others pass an OpenTelemetry exporter`,
    )
  }
  const timeoutMs = stated.timeoutMs ?? timeoutOf(env)
  return { url: urlOf(endpoint, env), headers, timeoutMs, protocol }
}

function timeoutOf(env: NodeJS.ProcessEnv): number | undefined {
  for (const name of ['OTEL_EXPORTER_OTLP_TRACES_TIMEOUT', 'OTEL_EXPORTER_OTLP_TIMEOUT']) {
    const value = nonEmpty(env[name])
    if (value === undefined) continue
    const timeoutMs = Number(value)
    if (Number.isInteger(timeoutMs) && timeoutMs >= 1 && timeoutMs <= LONGEST_TIMER_MS) return timeoutMs
    throw new KestConfigError(
      `${name}: expected milliseconds, an integer from 1 to ${LONGEST_TIMER_MS}, got "${value}"`,
    )
  }
  return undefined
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
