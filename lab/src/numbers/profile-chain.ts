import { sendLoad } from '../client/load.js'
import type { Bench } from './bench.js'
import type { ChainPlan } from './measure-chain.js'
import { sharesIn } from './profile.js'
import type { SharesByVariant } from './tables.js'
import { stopVariant, type Variant } from './variants.js'

/** The services again, under a profiler: what their CPU time goes to, microseconds of a request. */
export async function profile(
  bench: Bench,
  variants: readonly Variant[],
  { warmUp, seconds, concurrency, node, signal }: ChainPlan,
): Promise<SharesByVariant> {
  const result: SharesByVariant[number][] = []
  for (const [i, variant] of variants.entries()) {
    const folder = bench.openFolder(`profiles-${i}`)
    const chain = await bench.start(variant, node, ['--cpu-prof', `--cpu-prof-dir=${folder}`])
    const load = { url: chain.url, concurrency, signal }
    // Its start, and what is not compiled yet, tell nothing.
    await sendLoad({ ...load, amount: { requests: warmUp } })
    const from = Number(process.hrtime.bigint() / 1000n)
    const { requests } = await sendLoad({ ...load, amount: { seconds } })
    await stopVariant(chain)
    const shares = Object.entries(sharesIn(folder, from))
    const each = shares.map(([share, milliseconds]) => [share, (milliseconds * 1000) / requests])
    result.push([variant.name, Object.fromEntries(each)])
  }
  return result
}
