// What Kest costs: measures, prints tables, and with --write puts them into docs/performance.md.
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { availableParallelism, cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { sendLoad } from '../client/load.js'
import { configurationFile } from '../files.js'
import { planIdentities } from '../servers/plan-identities.js'
import { compilePolicies } from '../servers/rego-wasm.js'
import { Ports } from '../supervisor/ports.js'
import { Programs } from '../supervisor/programs.js'
import { Supervisor } from '../supervisor/supervisor.js'
import { Watch } from '../supervisor/watch.js'
import { measureLengths } from './chain-length.js'
import { fillIn } from './document.js'
import { measureChains } from './measure-chain.js'
import { plot } from './plot.js'
import { sharesIn } from './profile.js'
import { chainTable, lengthTable, type SharesByVariant, sharesTable } from './tables.js'
import { type RunningVariant, startVariant, VARIANTS, type Variant, type VariantContext } from './variants.js'

const DOCUMENT = configurationFile('../docs/performance.md')
const PLOT = configurationFile('../docs/chain-length.svg')
const LONGEST = 20
/** Of which the CPU time is looked into. */
const PROFILED = [VARIANTS[1], VARIANTS[4]] as readonly Variant[]

const { values } = parseArgs({
  options: {
    bin: { type: 'string' },
    'warm-up': { type: 'string', default: '20' },
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '10' },
    concurrency: { type: 'string', default: '16' },
    repetitions: { type: 'string', default: '300' },
    write: { type: 'boolean', default: false },
  },
})
const [warmUp, rounds, seconds, concurrency, repetitions] = [
  values['warm-up'],
  values.rounds,
  values.seconds,
  values.concurrency,
  values.repetitions,
].map(Number) as [number, number, number, number, number]

const progress = (text: string): void => console.error(`  ${text}`)
const watch = new Watch()
const folder = mkdtempSync(join(tmpdir(), 'kest-lab-'))
chmodSync(folder, 0o711)
const logs = mkdtempSync(join(tmpdir(), 'kest-numbers-'))
const supervisor = await Supervisor.start(logs, folder, watch)
const blocks: Ports[] = []
try {
  const context = await prepare()
  const chains: RunningVariant[] = []
  for (const [i, variant] of VARIANTS.entries()) chains.push(await start(variant, `-${i}`, context, []))
  const plan = { warmUp, rounds, seconds, concurrency, signal: watch.signal }
  const chain = chainTable(await measureChains(chains, plan, progress))
  // The services first: they export to the servers what is left.
  for (const daemon of chains.flatMap(({ daemons }) => daemons)) await daemon.stop()
  const shares = sharesTable(await profileAll(context))
  const lengths = await measureLengths(LONGEST, repetitions)
  const machine = `Node ${process.version} on ${availableParallelism()} cores (${cpus()[0]?.model.trim()}); ${rounds} rounds of ${seconds} s, ${concurrency} requests at once.`
  const length = lengthTable(lengths)
  console.log([machine, chain, shares, length].join('\n\n'))
  if (values.write) {
    fillIn(DOCUMENT, { machine, chain, shares, length })
    writeFileSync(PLOT, lengthPlot())
  }

  function lengthPlot(): string {
    return plot({
      title: 'What a hop costs, by its place in the chain',
      x: 'place in the chain',
      y: 'µs of one hop',
      series: [
        { name: 'full', points: lengths.map(({ hops, full }) => [hops, full] as const) },
        { name: 'tip', points: lengths.map(({ hops, tip }) => [hops, tip] as const) },
      ],
    })
  }
} finally {
  await supervisor.end()
  for (const block of blocks) await block[Symbol.asyncDispose]()
  rmSync(logs, { recursive: true })
  watch.end()
}

async function prepare(): Promise<Omit<VariantContext, 'ports' | 'nodeOptions'>> {
  const programs = new Programs(values.bin ?? null)
  const found = programs.require('opa', 'otelcol')
  const plan = planIdentities(programs, 'embedded')
  const regoWasm = join(folder, 'policies.tar.gz')
  await compilePolicies(found.opa, configurationFile('opa'), regoWasm)
  const identities = await plan.start(supervisor, { folder, port: 0, ttlSeconds: 3600 })
  return { supervisor, identities, programs: found, regoWasm, spansFile: join(logs, 'spans.jsonl') }
}

async function start(
  variant: Variant,
  label: string,
  context: Omit<VariantContext, 'ports' | 'nodeOptions'>,
  nodeOptions: readonly string[],
): Promise<RunningVariant> {
  const ports = await Ports.reserve(5)
  blocks.push(ports)
  progress(`starting ${variant.name}`)
  return await startVariant(variant, label, { ...context, ports, nodeOptions })
}

/** The services again, under a profiler. */
async function profileAll(context: Omit<VariantContext, 'ports' | 'nodeOptions'>): Promise<SharesByVariant> {
  const result: (readonly [string, ReturnType<typeof sharesIn>])[] = []
  for (const [i, variant] of PROFILED.entries()) {
    const profiles = join(folder, `profiles-${i}`)
    mkdirSync(profiles)
    // The services' users write there.
    chmodSync(profiles, 0o777)
    const options = ['--cpu-prof', `--cpu-prof-dir=${profiles}`]
    const running = await start(variant, `-profiled-${i}`, context, options)
    const load = { url: running.url, concurrency, signal: watch.signal }
    // Its start, and what is not compiled yet, tell nothing.
    await sendLoad({ ...load, amount: { seconds: warmUp } })
    const from = Number(process.hrtime.bigint() / 1000n)
    await sendLoad({ ...load, amount: { seconds } })
    for (const daemon of running.daemons) await daemon.stop()
    result.push([variant.name, sharesIn(profiles, from)])
  }
  return result
}
