import { cpuUsage } from 'node:process'
import { CHAIN } from '../chain.js'
import { sendLoad } from '../client/load.js'
import { Failure } from '../failure.js'
import type { Daemon } from '../supervisor/daemon.js'
import type { Bench } from './bench.js'
import { cpuMillisecondsOf } from './cpu-time.js'
import { median } from './statistics.js'
import { BARE, floorOf, type RunningVariant, stopVariant, type Variant } from './variants.js'

/** How the chains are loaded. */
export interface ChainPlan {
  /** Requests to each variant before anything counts: what runs often is compiled by then. */
  readonly warmUp: number
  readonly rounds: number
  /** Of load, for each variant in each round. */
  readonly seconds: number
  readonly concurrency: number
  /** The Node that runs the services. */
  readonly node: string
  readonly signal: AbortSignal
}

/** What one variant came to: medians over the rounds. */
export interface ChainFigure {
  readonly variant: Variant
  readonly perSecond: number
  /** Shares of what others did in the same round: the bare chain, and the floor that asks as this one does. */
  readonly ofBare: number
  readonly ofFloor: number
  /** The CPU time of that floor's services, as a share of that of these. */
  readonly cpuOfFloor: number
  /** Milliseconds, under load. */
  readonly p50: number
  readonly p99: number
  /** Milliseconds, one request at a time. */
  readonly alone: number
  /** CPU time of one request, microseconds. */
  readonly cpu: { readonly services: number; readonly servers: number; readonly client: number }
}

type Round = Omit<ChainFigure, 'variant' | 'ofBare' | 'ofFloor' | 'cpuOfFloor'>

/** Loads each chain in turn, round by round, so that all of them see the same minutes of the machine. */
export async function measureChains(
  bench: Bench,
  variants: readonly Variant[],
  plan: ChainPlan,
  progress: (text: string) => void,
): Promise<ChainFigure[]> {
  const chains: RunningVariant[] = []
  for (const variant of variants) chains.push(await bench.start(variant, plan.node))
  const { warmUp, concurrency, signal } = plan
  for (const { url, variant } of chains) {
    progress(`warming up ${variant.name}`)
    await sendLoad({ url, concurrency, amount: { requests: warmUp }, signal })
  }
  const rounds = await runRounds(chains, plan, progress)
  for (const chain of chains) await stopVariant(chain)
  const roundsOf = (variant: Variant): readonly Round[] => rounds[variants.indexOf(variant)] ?? []
  return variants.map((variant) =>
    summarize(variant, roundsOf(variant), roundsOf(BARE), roundsOf(floorOf(variant))),
  )
}

async function runRounds(
  chains: readonly RunningVariant[],
  plan: ChainPlan,
  progress: (text: string) => void,
): Promise<Round[][]> {
  const rounds = chains.map((): Round[] => [])
  for (let round = 0; round < plan.rounds; round++) {
    for (const [i, chain] of chains.entries()) {
      const figure = await loadOnce(chain, plan)
      progress(`round ${round + 1}: ${chain.variant.name}: ${figure.perSecond.toFixed(0)} per second`)
      rounds[i]?.push(figure)
    }
  }
  return rounds
}

function summarize(
  variant: Variant,
  own: readonly Round[],
  bare: readonly Round[],
  floor: readonly Round[],
): ChainFigure {
  const of = (pick: (round: Round) => number): number => median(own.map(pick))
  const beside = (others: readonly Round[], ratio: (round: Round, other: Round) => number): number =>
    median(own.map((round, i) => ratio(round, others[i] as Round)))
  return {
    variant,
    perSecond: of(({ perSecond }) => perSecond),
    ofBare: beside(bare, (round, other) => round.perSecond / other.perSecond),
    ofFloor: beside(floor, (round, other) => round.perSecond / other.perSecond),
    cpuOfFloor: beside(floor, (round, other) => other.cpu.services / round.cpu.services),
    p50: of(({ p50 }) => p50),
    p99: of(({ p99 }) => p99),
    alone: of(({ alone }) => alone),
    cpu: {
      services: of(({ cpu }) => cpu.services),
      servers: of(({ cpu }) => cpu.servers),
      client: of(({ cpu }) => cpu.client),
    },
  }
}

async function loadOnce(chain: RunningVariant, plan: ChainPlan): Promise<Round> {
  const { seconds, concurrency, signal } = plan
  const [services, servers] = [chain.daemons.slice(0, CHAIN.length), chain.daemons.slice(CHAIN.length)]
  const before = { services: cpuOf(services), servers: cpuOf(servers), client: ownCpu() }
  const load = await sendLoad({ url: chain.url, concurrency, amount: { seconds }, signal })
  const spent = {
    services: cpuOf(services) - before.services,
    servers: cpuOf(servers) - before.servers,
    client: ownCpu() - before.client,
  }
  const alone = await sendLoad({ url: chain.url, concurrency: 1, amount: { seconds: seconds / 3 }, signal })
  const failed = load.failed + alone.failed
  if (failed > 0) throw new Failure(`${chain.variant.name}: ${failed} failed: ${load.failures.join('; ')}`)
  const each = (milliseconds: number): number => (milliseconds * 1000) / load.requests
  return {
    perSecond: load.perSecond,
    p50: load.latency.p50,
    p99: load.latency.p99,
    alone: alone.latency.p50,
    cpu: { services: each(spent.services), servers: each(spent.servers), client: each(spent.client) },
  }
}

function cpuOf(daemons: readonly Daemon[]): number {
  return daemons.reduce((sum, { pid }) => sum + (pid === undefined ? 0 : cpuMillisecondsOf(pid)), 0)
}

function ownCpu(): number {
  const { user, system } = cpuUsage()
  return (user + system) / 1000
}
