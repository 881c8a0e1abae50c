import { parseArgs } from 'node:util'
import { parseCount } from '../count.js'
import { CannotRun } from '../failure.js'

export const USAGE = `usage: npm run lab:numbers -- [OPTIONS]

Measures what Kest costs on the services of the lab, and prints tables.

  --bin FOLDER        where opa and otelcol are looked for before PATH
  --warm-up N         requests to each chain before anything counts; default 6000
  --rounds N          default 4
  --seconds N         of load for each chain in each round; default 8
  --concurrency N     requests at once; default 16
  --repetitions N     of the chain in one process; default 300
  --node FILE         that runs the services, one after the other where there are several; default this one
  --json FILE         where all figures are written to
  --write             puts the tables and the plot into docs`

export interface NumbersArguments {
  readonly bin: string | null
  readonly warmUp: number
  readonly rounds: number
  readonly seconds: number
  readonly concurrency: number
  readonly repetitions: number
  /** Programs of Node; none for this one. */
  readonly nodes: readonly string[]
  readonly json: string | null
  readonly write: boolean
  readonly help: boolean
}

/** @throws {CannotRun} for what is not understood */
export function parseArguments(argv: readonly string[]): NumbersArguments {
  const values = parse(argv)
  return {
    bin: values.bin ?? null,
    warmUp: parseCount('--warm-up', values['warm-up'], 6_000, 1),
    rounds: parseCount('--rounds', values.rounds, 4, 1),
    seconds: parseCount('--seconds', values.seconds, 8, 1),
    concurrency: parseCount('--concurrency', values.concurrency, 16, 1),
    repetitions: parseCount('--repetitions', values.repetitions, 300, 1),
    nodes: values.node ?? [],
    json: values.json ?? null,
    write: values.write ?? false,
    help: values.help ?? false,
  }
}

function parse(argv: readonly string[]) {
  try {
    const { values } = parseArgs({
      args: [...argv],
      options: {
        bin: { type: 'string' },
        'warm-up': { type: 'string' },
        rounds: { type: 'string' },
        seconds: { type: 'string' },
        concurrency: { type: 'string' },
        repetitions: { type: 'string' },
        node: { type: 'string', multiple: true },
        json: { type: 'string' },
        write: { type: 'boolean' },
        help: { type: 'boolean', short: 'h' },
      },
    })
    return values
  } catch (error) {
    throw new CannotRun(`${(error as Error).message}\n\n${USAGE}`)
  }
}
