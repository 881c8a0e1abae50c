import { parseArgs } from 'node:util'
import { CHAIN } from './chain.js'
import { Failure } from './failure.js'

const USAGE = 'usage: npm start -- [FOLDER] [--local-keys | --users UID,UID,UID] [--spans FILE]'

/** What the demonstration is started with. */
export interface Arguments {
  /** Where everything is written; `null` where it always is. */
  readonly folder: string | null
  /** Whether each service makes a key of its own. */
  readonly localKeys: boolean
  /** Address of an agent's Workload API; `null` for the embedded authority. */
  readonly agent: string | null
  /** Users that the services run as, in the chain's order; none for the operator's own. */
  readonly users: readonly number[]
  /** Who decides; `null` for each service itself. */
  readonly opa: string | null
  /** Whom spans are exported to; `null` for folders. */
  readonly collector: Collector | null
}

/** An OpenTelemetry Collector. */
export interface Collector {
  /** Where it takes spans by OTLP/HTTP. */
  readonly endpoint: string
  /** The file that it writes them to, where the auditor finds them. */
  readonly file: string
}

/** @throws {Failure} for what is not understood */
export function parseArguments(argv: readonly string[], env: NodeJS.ProcessEnv): Arguments {
  const { values, positionals } = parse(argv)
  const { 'local-keys': localKeys = false, users, spans } = values
  const agent = env['SPIFFE_ENDPOINT_SOCKET'] || null
  if (positionals.length > 1) throw new Failure(`one folder is enough\n${USAGE}`)
  if (users !== undefined && (localKeys || agent === null))
    throw new Failure(`--users is for an agent, which SPIFFE_ENDPOINT_SOCKET names\n${USAGE}`)
  return {
    folder: positionals[0] ?? null,
    localKeys,
    agent: localKeys ? null : agent,
    users: users === undefined ? [] : parseUsers(users),
    opa: env['OPA_URL'] || null,
    collector: parseCollector(env['OTEL_EXPORTER_OTLP_ENDPOINT'] || null, spans),
  }
}

function parse(argv: readonly string[]) {
  try {
    return parseArgs({
      args: [...argv],
      allowPositionals: true,
      options: { 'local-keys': { type: 'boolean' }, users: { type: 'string' }, spans: { type: 'string' } },
    })
  } catch (error) {
    throw new Failure(`${(error as Error).message}\n${USAGE}`)
  }
}

function parseUsers(text: string): number[] {
  const users = text.split(',').map((uid) => (/^[0-9]{1,10}$/.test(uid) ? Number(uid) : Number.NaN))
  if (users.length !== CHAIN.length || users.some(Number.isNaN))
    throw new Failure(
      `--users: expected ${CHAIN.length} numeric user ids, got ${JSON.stringify(text)}\n${USAGE}`,
    )
  return users
}

/** The auditor reads what the Collector has written, so he must be told where. */
function parseCollector(endpoint: string | null, file: string | undefined): Collector | null {
  if (endpoint === null && file === undefined) return null
  if (endpoint === null || file === undefined)
    throw new Failure(
      `--spans names the file that a Collector writes, OTEL_EXPORTER_OTLP_ENDPOINT the Collector: both or none\n${USAGE}`,
    )
  return { endpoint, file }
}
