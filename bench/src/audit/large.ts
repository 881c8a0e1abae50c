import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { type AuditSaid, SHAPES, writeLarge } from '../internals.js'
import { environment } from '../report.js'
import { runChild } from './run-child.js'

const USAGE = `npm run bench:audit:large -- [--shape NAME] [--count N] [--memory BYTES] [--heap MIB]

  --shape NAME     ${Object.keys(SHAPES).join(', ')}; default: each
  --count N        traces, or spans of the one trace; default 1,000,000, and 100,000 of sound spans in one trace
  --memory BYTES   of spans that the audit holds in memory; default 67,108,864
  --heap MIB       the heap that the audit is given; default 400, and 1,000 for one sound trace`

const AUDIT = new URL('../../../packages/audit/dist/testing/audit-child.js', import.meta.url)

type ShapeName = keyof typeof SHAPES

interface Sizes {
  readonly shapes: readonly ShapeName[]
  readonly count: number | undefined
  readonly memory: number
  readonly heap: number | undefined
}

/** Exports of which something is very large: is all of it judged, how long does it take, and in how much memory. */
async function measure({ shapes, count, memory, heap }: Sizes): Promise<void> {
  const { node, cpu, parallelism, load } = environment()
  console.log(`Node ${node}, ${parallelism} × ${cpu}, load ${load.toFixed(1)}; memory: ${memory}`)
  for (const shape of shapes) {
    const folder = await mkdtemp(join(tmpdir(), 'kest-bench-large-'))
    try {
      const one = shape === 'one-trace'
      const spans = count ?? (one ? 100_000 : 1_000_000)
      const heapMiB = heap ?? (one ? 1_000 : 400)
      const keys = await writeLarge(join(folder, 'spans.jsonl'), shape, spans)
      await writeFile(join(folder, 'keys.json'), JSON.stringify(keys))
      const args = [join(folder, 'spans.jsonl'), join(folder, 'keys.json'), String(memory)]
      const said = await runChild<AuditSaid>(AUDIT, args, [`--max-old-space-size=${heapMiB}`])
      const verdicts = Object.entries(said.verdicts).flatMap(([of, n]) => (n === 0 ? [] : `${n} ${of}`))
      const findings = said.counts.map(([code, n]) => `${n} ${code}`).join(', ')
      console.log(
        `${shape.padEnd(21)} ${said.spans} spans: ${verdicts.join(', ')}; ${said.denials} denials; ` +
          `findings: ${findings || 'none'}; ${(said.elapsedMs / 1000).toFixed(0)} s; ` +
          `${said.maxRssMiB} MiB at most, in a heap of ${heapMiB}`,
      )
    } finally {
      await rm(folder, { recursive: true, force: true })
    }
  }
}

function sizesOf(args: readonly string[]): Sizes | undefined {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        shape: { type: 'string' },
        count: { type: 'string' },
        memory: { type: 'string', default: '67108864' },
        heap: { type: 'string' },
      },
    })
    const { shape } = values
    const numbers = [values.count, values.memory, values.heap].map((text) =>
      text === undefined ? undefined : Number(text),
    )
    const right = numbers.every((n) => n === undefined || (Number.isSafeInteger(n) && n > 0))
    if (right && (shape === undefined || Object.hasOwn(SHAPES, shape))) {
      const [count, memory, heap] = numbers as [number | undefined, number, number | undefined]
      const all = Object.keys(SHAPES) as ShapeName[]
      return { shapes: shape === undefined ? all : [shape as ShapeName], count, memory, heap }
    }
    console.error(`expected a shape there is, and positive numbers\n\n${USAGE}`)
  } catch (error) {
    console.error(`${(error as Error).message}\n\n${USAGE}`)
  }
  return undefined
}

const sizes = sizesOf(process.argv.slice(2))
if (sizes === undefined) process.exitCode = 2
else await measure(sizes)
