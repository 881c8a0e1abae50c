import { parseArgs } from 'node:util'
import { parseCount } from './count.js'
import { CannotRun } from './failure.js'
import { configurationFile } from './files.js'

export const USAGE = `usage: npm run lab -- [OPTIONS]

Starts OPA, the OpenTelemetry Collector, SPIRE (or what stands in for it) and three services; sends a request through
them; audits it from the Collector's file; and stops everything.

  --bin FOLDER             where opa, otelcol, spire-server and spire-agent are looked for before PATH
  --identities WHO         spire, or embedded: the Workload API of @kest/spiffe/dev. Default: spire where it can be
  --in-process-policy      the services decide by themselves (Rego as WebAssembly), without OPA
  --policies FOLDER        policies; default docker/opa
  --kafka                  the Collector writes to a broker of Kafka, too, where two auditors judge what comes
  --rotate SECONDS         life of SVIDs, renewed at half of it; default 3600
  --requests N             then sends N requests, and prints throughput and latencies
  --concurrency C          of them at once; default 10
  --soak SECONDS           then sends requests for so long at 70 % of what the chain can take, and watches memory
  --keep                   leaves everything running until Ctrl-C, and prints where it is
  --json                   the report as one JSON document
  --out FOLDER             where spans, logs and evidence are written, in place of those of an earlier run: an empty
                           folder, a new one, or one that the lab has written to; default a new one in lab/out`

/** What the lab is started with. */
export interface Arguments {
  readonly bin: string | null
  readonly identities: 'spire' | 'embedded' | null
  readonly inProcessPolicy: boolean
  readonly policies: string
  readonly kafka: boolean
  readonly ttlSeconds: number
  readonly requests: number
  readonly concurrency: number
  readonly soakSeconds: number
  readonly keep: boolean
  readonly json: boolean
  readonly help: boolean
  /** `null` for a new folder. */
  readonly out: string | null
}

/** @throws {CannotRun} for what is not understood */
export function parseArguments(argv: readonly string[]): Arguments {
  const values = parse(argv)
  const { identities = null } = values
  if (identities !== null && identities !== 'spire' && identities !== 'embedded')
    throw wrong(`--identities: expected spire or embedded, got ${JSON.stringify(identities)}`)
  if (values.out === '') throw wrong('--out: expected a folder')
  return {
    bin: values.bin ?? null,
    identities,
    inProcessPolicy: values['in-process-policy'] ?? false,
    policies: values.policies ?? configurationFile('opa'),
    kafka: values.kafka ?? false,
    ttlSeconds: parseCount('--rotate', values.rotate, 3600, 2),
    requests: parseCount('--requests', values.requests, 0, 1),
    concurrency: parseCount('--concurrency', values.concurrency, 10, 1),
    soakSeconds: parseCount('--soak', values.soak, 0, 1),
    keep: values.keep ?? false,
    json: values.json ?? false,
    help: values.help ?? false,
    out: values.out ?? null,
  }
}

function parse(argv: readonly string[]) {
  try {
    const { values } = parseArgs({
      args: [...argv],
      options: {
        bin: { type: 'string' },
        identities: { type: 'string' },
        'in-process-policy': { type: 'boolean' },
        policies: { type: 'string' },
        kafka: { type: 'boolean' },
        rotate: { type: 'string' },
        requests: { type: 'string' },
        concurrency: { type: 'string' },
        soak: { type: 'string' },
        keep: { type: 'boolean' },
        json: { type: 'boolean' },
        out: { type: 'string' },
        help: { type: 'boolean', short: 'h' },
      },
    })
    return values
  } catch (error) {
    throw wrong((error as Error).message)
  }
}

function wrong(why: string): CannotRun {
  return new CannotRun(`${why}\n\n${USAGE}`)
}
