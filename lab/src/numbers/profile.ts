import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

/** What time is spent on. */
export const SHARES = [
  'crypto',
  'policy',
  'export',
  'lineage beside those',
  'HTTP and the framework',
  'garbage collection',
] as const
export type Share = (typeof SHARES)[number]

interface CpuProfile {
  readonly nodes: readonly ProfileNode[]
  /** Microseconds of the monotonic clock. */
  readonly startTime: number
  readonly samples: readonly number[]
  readonly timeDeltas: readonly number[]
}

interface ProfileNode {
  readonly id: number
  readonly callFrame: { readonly functionName: string; readonly url: string }
  readonly children?: readonly number[]
}

/** Frames that say what the time under them goes to; the innermost that says something counts. */
const RULES: readonly (readonly [Share, (frame: ProfileNode['callFrame']) => boolean])[] = [
  [
    'crypto',
    ({ url, functionName }) =>
      url.startsWith('node:internal/crypto/') || /^(sign|verify)OneShot/.test(functionName),
  ],
  ['policy', ({ url }) => /\/(packages\/opa|opa-wasm)\/|\/numbers\/floor\/question/.test(url)],
  [
    'export',
    ({ url }) => /\/(packages\/telemetry|@opentelemetry\/(sdk|otlp|resources|core)[a-z-]*)\//.test(url),
  ],
  [
    'lineage beside those',
    ({ url }) =>
      /\/packages\/(core|fastify|express|undici|spiffe)\/|\/numbers\/floor\/(lineage|ecdsa)/.test(url),
  ],
]

function shareOfFrame(frame: ProfileNode['callFrame']): Share | undefined {
  if (frame.functionName === '(garbage collector)') return 'garbage collection'
  return RULES.find(([, matches]) => matches(frame))?.[0]
}

/** Not work: waiting, and what V8 calls so. */
const IDLE = new Set(['(idle)', '(program)'])

/**
 * What the CPU time of services went to, by the profiles that `node --cpu-prof` wrote.
 *
 * @param from what came before is left out, microseconds of the monotonic clock, which all processes have in common
 * @returns milliseconds
 */
export function sharesIn(folder: string, from: number): Readonly<Record<Share, number>> {
  const shares = Object.fromEntries(SHARES.map((share) => [share, 0])) as Record<Share, number>
  for (const name of readdirSync(folder).filter((file) => file.endsWith('.cpuprofile'))) {
    add(JSON.parse(readFileSync(join(folder, name), 'utf8')) as CpuProfile, from, shares)
  }
  return shares
}

function add(profile: CpuProfile, from: number, shares: Record<Share, number>): void {
  const { nodes, samples, timeDeltas } = profile
  const byId = new Map(nodes.map((node) => [node.id, node]))
  const shareOf = new Map<number, Share | null>()
  const visit = (node: ProfileNode, outer: Share): void => {
    const { callFrame, children = [] } = node
    const share = shareOfFrame(callFrame) ?? outer
    shareOf.set(node.id, IDLE.has(callFrame.functionName) ? null : share)
    for (const id of children) {
      const child = byId.get(id)
      if (child !== undefined) visit(child, share)
    }
  }
  const root = nodes[0]
  if (root !== undefined) visit(root, 'HTTP and the framework')
  let now = profile.startTime
  for (const [i, id] of samples.entries()) {
    const delta = timeDeltas[i] ?? 0
    now += delta
    const share = shareOf.get(id)
    if (now >= from && share !== null && share !== undefined) shares[share] += delta / 1000
  }
}
