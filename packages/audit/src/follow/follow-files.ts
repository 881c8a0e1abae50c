import { stat } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { KestConfigError, KestError } from '@kest/core'
import { type AuditFinding, finding } from '../finding.js'
import { faultBatch, type SpanBatch } from '../read/batch.js'
import { type Found, filesAt, maxBytesOf } from '../read/files.js'
import type { FollowedBatch } from './followed-batch.js'
import { FollowedFile, idOf, type Look, Replaced } from './followed-file.js'

/** How often it is looked for more; less often where looking takes long. */
const LOOK_MS = 200
const TIMES_AS_LONG = 10
/** Files that are held open at once: one of them is read to its end also when it is removed. */
const MAX_HELD = 256

/** How files are followed. */
export interface FollowFilesOptions {
  /** When it is aborted, what is there is read, and that is the end. */
  readonly signal: AbortSignal
  /**
   * Milliseconds without a change after which a file that is one text, or compressed, is taken to be whole, and one that was removed to
   * have ended. Default 30,000.
   */
  readonly quietMs?: number
  /** Bytes of one line, or message; a longer one is a finding `limit`. Default 67,108,864. */
  readonly maxLineBytes?: number
}

/**
 * Spans in files that grow, and in those that come to their folders, until it is told to stop: of what `readFiles` reads, all but SQLite.
 * A file is known by what it is, not by its name: one that is renamed is read on, and what comes in its place is another. What is half
 * written waits for its other half; at the end it is a finding `torn`. A file that is shortened, or written anew, is a finding
 * `unreadable`, and read from its beginning. Lines and messages are read as they come; one JSON text, and what is compressed, once nobody
 * has written for `quietMs`.
 *
 * Each time that all has been read that was there, it yields a batch with `atEnd`, be it empty.
 *
 * Does *not* see a file that comes and goes between two looks, which are 200 ms apart, or more where there are many.
 *
 * @example
 * ```ts
 * const follower = new TraceFollower({ trust })
 * for await (const { verdict } of follower.follow(followFiles(['/var/lib/otelcol/spans'], { signal })))
 *   if (verdict !== null) console.log(verdict.trace_id, verdict.verdict)
 * ```
 *
 * @throws {KestError} `ERR_KEST_EVIDENCE` when a path cannot be opened at the beginning; `ERR_KEST_CONFIG` for wrong options
 */
export async function* followFiles(
  paths: readonly string[],
  options: FollowFilesOptions,
): AsyncGenerator<FollowedBatch> {
  const maxLineBytes = maxBytesOf('followFiles', options, ['signal', 'quietMs', 'maxLineBytes'])
  const { signal, quietMs = 30_000 } = options
  if (!Number.isSafeInteger(quietMs) || quietMs < 1)
    throw new KestConfigError(`followFiles: quietMs: expected a positive integer, got ${String(quietMs)}`)
  if (!(signal instanceof AbortSignal))
    throw new KestConfigError('followFiles: signal: expected an AbortSignal')
  const files = new FollowedFiles(paths, quietMs, maxLineBytes)
  try {
    for (let last = false; ; ) {
      last = signal.aborted
      const began = performance.now()
      for await (const batch of files.round()) yield { ...batch, atEnd: false }
      yield { ...NOTHING, atEnd: true }
      if (last) break
      const pause = Math.max(LOOK_MS, TIMES_AS_LONG * files.lookMs)
      const left = pause - (performance.now() - began)
      // It is woken by being told to stop.
      if (left > 0) await sleep(left, undefined, { signal }).catch(() => {})
    }
    for await (const batch of files.end()) yield { ...batch, atEnd: false }
    yield { ...NOTHING, atEnd: true }
  } finally {
    await files.close()
  }
}

const NOTHING: SpanBatch = { spans: [], others: 0, findings: [], bytes: 0 }

class FollowedFiles {
  /** How long the last look took, without reading. */
  lookMs = 0
  readonly #paths: readonly string[]
  readonly #quietMs: number
  readonly #maxLineBytes: number
  /** By what they are. */
  readonly #files = new Map<string, FollowedFile>()
  /** Those that are open, the longest unread first. */
  readonly #held = new Set<FollowedFile>()
  /** What was said of places, lest it is each time. */
  readonly #said = new Set<string>()
  /** What was named and is not there, since when. */
  readonly #missing = new Map<string, { readonly since: number; readonly why: string }>()
  #first = true

  constructor(paths: readonly string[], quietMs: number, maxLineBytes: number) {
    this.#paths = paths
    this.#quietMs = quietMs
    this.#maxLineBytes = maxLineBytes
  }

  /** All that is there now. */
  async *round(): AsyncGenerator<SpanBatch> {
    const began = performance.now()
    const { looks, faults } = await this.#look()
    this.lookMs = performance.now() - began
    for (const one of faults) yield faultBatch(one)
    for (const [id, { look, found }] of looks) {
      const file = this.#files.get(id) ?? this.#begin(id, look, found)
      yield* this.#guarded(
        file,
        file.read(look, began, (one) => this.#isQuiet(one, file, began)),
      )
    }
    for (const [id, file] of this.#files) if (!looks.has(id)) yield* this.#gone(id, file, began)
  }

  /** What is left of all. */
  async *end(): AsyncGenerator<SpanBatch> {
    for (const file of this.#files.values()) yield* this.#guarded(file, file.end(), true)
    for (const [path, { why }] of this.#missing)
      if (this.#isNews(path, why)) yield faultBatch(finding('unreadable', why, { place: path }))
  }

  async close(): Promise<void> {
    for (const file of this.#files.values()) await file.close()
  }

  #begin(id: string, look: Look, { named }: Found): FollowedFile {
    const file = new FollowedFile(look, performance.now(), { named, maxLineBytes: this.#maxLineBytes })
    this.#files.set(id, file)
    return file
  }

  #isQuiet({ changedMs }: Look, file: FollowedFile, now: number): boolean {
    return now - file.quietSinceMs >= this.#quietMs || Date.now() - changedMs >= this.#quietMs
  }

  /** Whose name is gone may still be written to by whoever has it open, and is read on. */
  async *#gone(id: string, file: FollowedFile, now: number): AsyncGenerator<SpanBatch> {
    const { handle } = file
    if (handle !== null) {
      const { size, mtimeMs: changedMs } = await handle.stat()
      yield* this.#guarded(
        file,
        file.read({ path: file.path, id, size, changedMs }, now, () => false),
      )
      if (now - file.quietSinceMs < this.#quietMs) return
    }
    this.#files.delete(id)
    this.#held.delete(file)
    yield* this.#guarded(file, file.end(), true)
    await file.close()
  }

  /** That one cannot be read keeps no other from being. */
  async *#guarded(
    file: FollowedFile,
    batches: AsyncGenerator<SpanBatch>,
    last = false,
  ): AsyncGenerator<SpanBatch> {
    try {
      yield* batches
    } catch (cause) {
      const isReplaced = cause instanceof Replaced
      if (!isReplaced && (cause as NodeJS.ErrnoException).code === undefined) throw cause
      if (isReplaced && !last) return
      const why = `it cannot be read: ${(cause as Error).message}`
      if (this.#isNews(file.path, why)) yield faultBatch(finding('unreadable', why, { place: file.path }))
    }
    this.#held.delete(file)
    if (file.handle === null) return
    this.#held.add(file)
    const [longest] = this.#held
    if (this.#held.size <= MAX_HELD || longest === undefined) return
    this.#held.delete(longest)
    await longest.close()
  }

  async #look(): Promise<{
    looks: Map<string, { readonly look: Look; readonly found: Found }>
    faults: AuditFinding[]
  }> {
    const looks = new Map<string, { look: Look; found: Found }>()
    const faults: AuditFinding[] = []
    const now = performance.now()
    const say = (one: AuditFinding): void => {
      if (this.#isNews(one.place ?? '', one.message)) faults.push(one)
    }
    for (const path of this.#paths) {
      try {
        for await (const found of filesAt(path)) {
          if (found.passed !== undefined) say(found.passed)
          else await lookAt(found, looks, say)
        }
        this.#missing.delete(path)
      } catch (cause) {
        if (!(cause instanceof KestError) || this.#first) throw cause
        // It may be between being renamed and being written anew.
        const since = this.#missing.get(path)?.since ?? now
        this.#missing.set(path, { since, why: cause.message })
        if (now - since >= this.#quietMs) say(finding('unreadable', cause.message, { place: path }))
      }
    }
    this.#first = false
    return { looks, faults }
  }

  #isNews(place: string, why: string): boolean {
    const key = JSON.stringify([place, why])
    if (this.#said.has(key)) return false
    this.#said.add(key)
    return true
  }
}

async function lookAt(
  found: Found,
  looks: Map<string, { look: Look; found: Found }>,
  say: (one: AuditFinding) => void,
): Promise<void> {
  const { path } = found
  try {
    const { id, size, mtimeMs, isFile } = await statOf(path)
    if (isFile && !looks.has(id)) looks.set(id, { look: { path, id, size, changedMs: mtimeMs }, found })
  } catch (cause) {
    // Removed since its folder was looked at.
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return
    say(finding('unreadable', `it cannot be read: ${(cause as Error).message}`, { place: path }))
  }
}

async function statOf(path: string) {
  const found = await stat(path, { bigint: true })
  return { id: idOf(found), size: Number(found.size), mtimeMs: Number(found.mtimeMs), isFile: found.isFile() }
}
