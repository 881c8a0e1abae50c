/** What a service is told by its environment. Beside it, libraries read theirs: `SPIFFE_ENDPOINT_SOCKET`, `KEST_CONFIG`. */
export interface Settings {
  /** `HOST`, default `127.0.0.1`. */
  readonly host: string
  /** `PORT`, default 8000. */
  readonly port: number
  /** `NEXT_URL`: the service behind this one; with `https:` it must show its SVID. */
  readonly next: URL | null
  /** `MTLS`, `true` or `false`: whether it talks to nobody but the hop before it, who shows an SVID. Default `false`. */
  readonly mtls: boolean
  /** `OPA_URL`: who decides; `unix:///run/opa/opa.sock` for a socket. */
  readonly opa: URL | null
  /** `OPA_PLANS`, `true` or `false`: whether OPA may have a plan for each operation. Default `false`. */
  readonly opaPlans: boolean
  /** `REGO_WASM`: a file that decides in this process instead, made by `opa build -t wasm`. */
  readonly regoWasm: string | null
  /** `OTEL_EXPORTER_OTLP_ENDPOINT`: where audit spans go. */
  readonly collector: URL | null
  /** `OTEL_TRACES_EXPORTER`: `otlp`, or `none` for no record at all, to measure what that costs. Default `otlp`. */
  readonly exporter: 'otlp' | 'none'
  /** `PATIENCE`: how many times longer than it usually would it waits for OPA, the Collector and the next hop. Default 1. */
  readonly patience: number
}

/** @throws {Error} that names the variable */
export function readSettings(env: NodeJS.ProcessEnv): Settings {
  return {
    host: text(env, 'HOST') ?? '127.0.0.1',
    port: port(text(env, 'PORT') ?? '8000'),
    next: url(env, 'NEXT_URL'),
    mtls: flag(env, 'MTLS'),
    opa: url(env, 'OPA_URL'),
    opaPlans: flag(env, 'OPA_PLANS'),
    regoWasm: text(env, 'REGO_WASM'),
    collector: url(env, 'OTEL_EXPORTER_OTLP_ENDPOINT'),
    exporter: exporter(text(env, 'OTEL_TRACES_EXPORTER') ?? 'otlp'),
    patience: patience(text(env, 'PATIENCE') ?? '1'),
  }
}

/** For a service that cannot do without. */
export function required<T>(value: T | null, name: string): T {
  if (value === null) throw new Error(`${name}: must be set`)
  return value
}

function text(env: NodeJS.ProcessEnv, name: string): string | null {
  return env[name] || null
}

function port(value: string): number {
  const number = Number(value)
  if (/^\d+$/.test(value) && number <= 65_535) return number
  throw new Error(`PORT: expected 0 to 65535, got ${JSON.stringify(value)}`)
}

function patience(value: string): number {
  if (/^[1-9]\d{0,2}$/.test(value)) return Number(value)
  throw new Error(`PATIENCE: expected 1 to 999, got ${JSON.stringify(value)}`)
}

function flag(env: NodeJS.ProcessEnv, name: string): boolean {
  const value = text(env, name) ?? 'false'
  if (value === 'true' || value === 'false') return value === 'true'
  throw new Error(`${name}: expected true or false, got ${JSON.stringify(value)}`)
}

function exporter(value: string): Settings['exporter'] {
  if (value === 'otlp' || value === 'none') return value
  throw new Error(`OTEL_TRACES_EXPORTER: expected otlp or none, got ${JSON.stringify(value)}`)
}

function url(env: NodeJS.ProcessEnv, name: string): URL | null {
  const value = text(env, name)
  if (value === null) return null
  if (!URL.canParse(value)) throw new Error(`${name}: expected a URL, got ${JSON.stringify(value)}`)
  return new URL(value)
}
