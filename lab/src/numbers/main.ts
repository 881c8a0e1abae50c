// What Kest costs: measures, prints tables, and with --write puts them into docs/performance.md.
import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { availableParallelism, cpus, loadavg } from 'node:os'
import { inspect } from 'node:util'
import { CannotRun, Failure } from '../failure.js'
import { configurationFile } from '../files.js'
import { Watch } from '../supervisor/watch.js'
import { type NumbersArguments, parseArguments, USAGE } from './arguments.js'
import { Bench } from './bench.js'
import { type LengthFigure, measureLengths } from './chain-length.js'
import { fillIn } from './document.js'
import { measureChains } from './measure-chain.js'
import { plot } from './plot.js'
import { profile } from './profile-chain.js'
import { chainTable, lengthTable, type NodeFigures, nodesTable, sharesTable } from './tables.js'
import { BARE, FLOOR, IN_PROCESS, OPA_EXPORT, VARIANTS, type Variant } from './variants.js'

const DOCUMENT = configurationFile('../docs/performance.md')
const PLOT = configurationFile('../docs/chain-length.svg')
const LONGEST = 20
/** Of which the CPU time is looked into. */
const PROFILED: readonly Variant[] = [BARE, FLOOR, IN_PROCESS, OPA_EXPORT]

process.exitCode = await main(process.argv.slice(2))

async function main(argv: readonly string[]): Promise<number> {
  const watch = new Watch()
  try {
    const wanted = parseArguments(argv)
    if (wanted.help) console.log(USAGE)
    else await measure(wanted, watch)
    return 0
  } catch (error) {
    const reason: unknown = watch.signal.aborted ? watch.signal.reason : error
    console.error(`\nnumbers: ${reason instanceof Failure ? reason.message : inspect(reason)}`)
    return watch.exitCode ?? (reason instanceof Failure ? reason.exitCode : 1)
  } finally {
    watch.end()
  }
}

async function measure(wanted: NumbersArguments, watch: Watch): Promise<void> {
  const progress = (text: string): void => console.error(`  ${text}`)
  const programs = (wanted.nodes.length > 0 ? wanted.nodes : [process.execPath]) as [string]
  const load = loadavg()[0]?.toFixed(1) ?? '?'
  await using bench = await Bench.open(wanted.bin, progress, watch)
  const nodes: NodeFigures[] = []
  for (const program of programs) {
    const node = versionOf(program)
    progress(`Node ${node}`)
    const plan = { ...wanted, node: program, signal: watch.signal }
    nodes.push({ node, chain: await measureChains(bench, VARIANTS, plan, progress) })
  }
  const [first] = nodes as [NodeFigures]
  const [node] = programs
  const profiles = await profile(bench, PROFILED, { ...wanted, node, signal: watch.signal })
  progress('the chain in one process')
  const lengths = await measureLengths(LONGEST, wanted.repetitions)
  const parts = {
    machine: machine(wanted, first.node, load),
    chain: chainTable(first.chain),
    nodes: nodesTable(nodes),
    shares: sharesTable(profiles),
    length: lengthTable(lengths),
  }
  console.log(Object.values(parts).join('\n\n'))
  if (wanted.json !== null) writeJson(wanted.json, { machine: parts.machine, nodes, profiles, lengths })
  if (!wanted.write) return
  fillIn(DOCUMENT, parts)
  writeFileSync(PLOT, lengthPlot(lengths))
}

function writeJson(file: string, figures: object): void {
  writeFileSync(file, `${JSON.stringify(figures, null, 2)}\n`)
}

/** @throws {CannotRun} for what is no Node */
function versionOf(program: string): string {
  try {
    return execFileSync(program, ['--version'], { encoding: 'utf8', stdio: 'pipe' }).trim()
  } catch (error) {
    throw new CannotRun(`--node ${program}: ${(error as Error).message}`)
  }
}

/** @param load what the machine had to do beside */
function machine({ rounds, seconds, concurrency }: NumbersArguments, node: string, load: string): string {
  const cores = `${availableParallelism()} cores (${cpus()[0]?.model.trim()})`
  const plan = `${rounds} rounds of ${seconds} s, ${concurrency} requests at once`
  return `Node ${node} on ${cores}; ${plan}. Load of the machine before: ${load}.`
}

function lengthPlot(figures: readonly LengthFigure[]): string {
  return plot({
    title: 'What a hop costs, by its place in the chain',
    x: 'place in the chain',
    y: 'µs of one hop',
    series: [
      { name: 'floor', points: figures.map(({ hops, floor }) => [hops, floor] as const) },
      { name: 'full', points: figures.map(({ hops, full }) => [hops, full] as const) },
      { name: 'tip', points: figures.map(({ hops, tip }) => [hops, tip] as const) },
    ],
  })
}
