import { once } from 'node:events'
import { createWriteStream, type WriteStream } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { finished } from 'node:stream/promises'
import { ATTRIBUTE } from '@kest/core'
import { FINDING_CODES, type FindingCode } from '../finding.js'
import type { OtlpSpan } from './make-span.js'
import { otlpLine } from './make-span.js'
import { DEFECTS, type PlantedTrace, soundTrace, Workloads } from './plant.js'

/** Bytes of a line in a written export; longer ones are planted. */
export const LONGEST_LINE = 400_000
/** Spans of one line. */
const BATCH = 40

/** What was written, and what an audit of it must say: these findings and no others. */
export interface WrittenExport {
  readonly folder: string
  readonly keys: Readonly<Record<string, object[]>>
  readonly spans: number
  readonly denials: number
  /** Findings by trace. */
  readonly traces: ReadonlyMap<string, readonly FindingCode[]>
  /** How often each is found in all. */
  readonly counts: ReadonlyMap<FindingCode, number>
}

/**
 * Writes what three services export: traces of three hops with real signatures, among them `each` of every defect, and as
 * many of each fault that a file can have.
 */
export async function writeExport(folder: string, count: number, each: number): Promise<WrittenExport> {
  await mkdir(folder, { recursive: true })
  const workloads = new Workloads()
  const files = new Map<string, ServiceFile>()
  const traces = new Map<string, readonly FindingCode[]>()
  const counts = new Map<FindingCode, number>()
  let spans = 0
  const denied = new Set<string>()
  for (const trace of plannedTraces(workloads, count, each)) {
    for (const [traceId, codes] of trace.expected) traces.set(traceId, codes)
    for (const code of [...[...trace.expected.values()].flat(), ...trace.general]) {
      counts.set(code, (counts.get(code) ?? 0) + 1)
    }
    for (const { service, span } of trace.spans) {
      spans++
      // One that has an entry may say it falsely.
      const { [ATTRIBUTE.decision]: decision, [ATTRIBUTE.signature]: signature } = span.attributes
      if (decision === 'deny' && signature === undefined) denied.add(`${span.traceId} ${span.spanId}`)
      let file = files.get(service)
      if (file === undefined) {
        file = new ServiceFile(join(folder, `${service}.jsonl`), service)
        files.set(service, file)
      }
      await file.add(span)
    }
  }
  const [first] = files.values()
  for (let n = 0; n < each; n++) {
    await first?.line('{"resourceSpans":[{"resource":{}')
    await first?.line(`{"resourceSpans":"${'x'.repeat(LONGEST_LINE)}"}`)
    await writeFile(join(folder, `notes-${n}.txt`), 'nothing of interest\n')
    await writeFile(join(folder, `killed-${n}.jsonl`), '{"resourceSpans":[{"resource":{"attri')
  }
  for (const file of files.values()) await file.end()
  for (const code of ['unreadable', 'limit', 'skipped', 'torn'] as const) counts.set(code, each)
  assertEvery(counts)
  return { folder, keys: workloads.keys(), spans, denials: denied.size, traces, counts }
}

/** Defects are spread among sound traces, so that no two losses of a process are of successive numbers. */
function* plannedTraces(workloads: Workloads, count: number, each: number): Generator<PlantedTrace> {
  const defects = Object.values(DEFECTS)
  const planned = defects.length * each
  if (count < 2 * planned) throw new Error(`expected at least ${2 * planned} traces, got ${count}`)
  const every = Math.floor(count / planned)
  for (let n = 0; n < count; n++) {
    const at = n / every
    const defect = n % every === 1 && at < planned ? defects[Math.floor(at) % defects.length] : undefined
    yield defect === undefined ? soundTrace(workloads) : defect(workloads, n)
  }
}

function assertEvery(counts: ReadonlyMap<FindingCode, number>): void {
  const missing = FINDING_CODES.filter((code) => code !== 'root' && code !== 'silent' && !counts.has(code))
  if (missing.length > 0) throw new Error(`nothing is planted for ${missing.join(', ')}`)
}

class ServiceFile {
  readonly #service: string
  readonly #stream: WriteStream
  #batch: OtlpSpan[] = []

  constructor(path: string, service: string) {
    this.#service = service
    this.#stream = createWriteStream(path)
  }

  async add(span: OtlpSpan): Promise<void> {
    this.#batch.push(span)
    if (this.#batch.length === BATCH) await this.#flush()
  }

  async line(text: string): Promise<void> {
    if (!this.#stream.write(`${text}\n`)) await once(this.#stream, 'drain')
  }

  async end(): Promise<void> {
    await this.#flush()
    this.#stream.end()
    await finished(this.#stream)
  }

  /** The newest first: order says nothing. */
  async #flush(): Promise<void> {
    if (this.#batch.length === 0) return
    await this.line(otlpLine(this.#service, this.#batch.reverse()))
    this.#batch = []
  }
}
