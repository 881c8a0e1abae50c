import type { OPAOptions } from '@kest/opa'

/** What was said of the service, by its environment and on the command line. */
export interface Settings {
  readonly env: NodeJS.ProcessEnv
  /** For each check, milliseconds. */
  readonly timeoutMs: number
  /** Trust domains whose workloads it must be able to verify. */
  readonly trustDomains: readonly string[]
  readonly opa: Pick<OPAOptions, 'url' | 'socketPath' | 'token'> | null
  readonly policies: readonly string[]
  /** Beside what the environment says. */
  readonly otlp: string | null
  /** A URL of the service, as its callers have it. */
  readonly front: URL | null
}

/** The first of these that the environment sets. */
export function firstOf(env: NodeJS.ProcessEnv, names: readonly string[]): string | null {
  return names.map((name) => env[name]?.trim()).find(Boolean) ?? null
}

/** Where OTLP goes, by the environment. */
export const OTLP_VARIABLES = ['OTEL_EXPORTER_OTLP_TRACES_ENDPOINT', 'OTEL_EXPORTER_OTLP_ENDPOINT'] as const
