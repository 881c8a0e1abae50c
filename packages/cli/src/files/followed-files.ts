import { createHash } from 'node:crypto'
import type { Readable } from 'node:stream'
import { setTimeout as delay } from 'node:timers/promises'
import { isDescriptor, type ReadText, readText, STDIN } from './read.js'

/** How often files are looked at. */
const LOOK_MS = 1_000
/** How long a look may take. */
const TIMEOUT_MS = 5_000
/** Looks in a row of which each found something else, until that is said. */
const MAX_UNSETTLED = 60

export interface FollowedFilesOptions<T> {
  /** As they were named. Standard input, and descriptors that were handed down, are read once. */
  readonly paths: readonly string[]
  readonly stdin: Readable
  /** What is in them, all together. @throws {Error} saying of which file, and why it is not what was meant */
  readonly parse: (read: ReadText) => Promise<T>
  /** Told when another state of them counts. */
  readonly onTaken: () => void
  /** Told why one does not: once, until another is taken or something else is wrong. */
  readonly onFault: (why: string) => void
  readonly lookMs?: number
  readonly timeoutMs?: number
}

/**
 * What some files say, as they are now: all of them together, whole or not at all. While one is gone or broken, what they said before
 * stays, which is said.
 *
 * As with a deployment file, they are read again rather than watched for events, so that mounted volumes, replaced symbolic links (a
 * Kubernetes ConfigMap) and network file systems work alike; and what has changed is taken when a second look finds the same, so that one
 * does not take half of what somebody is writing. A look that hangs is a fault, and the next begins when it has ended. The timer keeps
 * no process alive.
 */
export class FollowedFiles<T> implements Disposable {
  readonly #options: FollowedFilesOptions<T>
  /** What was read once. */
  readonly #once: Texts
  readonly #closing = new AbortController()
  #current: T
  /** The state that was last parsed, whether or not it held; `undefined` when the next must be. */
  #judged: string | undefined
  /** What the last look found, if that differed. */
  #candidate: string | undefined
  #unsettled = 0
  #reading: Promise<Texts> | undefined
  #fault: string | undefined

  private constructor(options: FollowedFilesOptions<T>, first: Texts, current: T) {
    this.#options = options
    this.#once = first.filter(isReadOnce)
    this.#judged = first.digest
    this.#current = current
  }

  /** Reads them. @throws what `parse` throws */
  static async open<T>(options: FollowedFilesOptions<T>): Promise<FollowedFiles<T>> {
    const first = await Texts.read(options.paths, options.stdin)
    return new FollowedFiles(options, first, await options.parse(first.text))
  }

  get current(): T {
    return this.#current
  }

  /** Looks at them from now on, until it is closed. */
  follow(): void {
    if (!this.#options.paths.every(isReadOnce)) void this.#follow()
  }

  /** Looks at them, and takes what is there at once. Not beside {@link follow}. */
  async look(): Promise<void> {
    const found = await this.#find()
    if (found !== undefined && found.digest !== this.#judged) await this.#take(found)
  }

  /** Idempotent; what was last in force stays so. */
  close(): void {
    this.#closing.abort()
  }

  [Symbol.dispose](): void {
    this.close()
  }

  async #follow(): Promise<void> {
    const { signal } = this.#closing
    const { lookMs = LOOK_MS } = this.#options
    while (!signal.aborted) {
      // Rejects only when it is closed.
      await delay(lookMs, undefined, { ref: false, signal }).catch(() => undefined)
      if (signal.aborted) return
      const found = await this.#find()
      if (found !== undefined && this.#hasSettled(found)) await this.#take(found)
    }
  }

  /** @returns `undefined` when it took too long, which is said, and when it was closed meanwhile */
  async #find(): Promise<Texts | undefined> {
    const { paths, stdin, timeoutMs = TIMEOUT_MS } = this.#options
    const { signal } = this.#closing
    // At most one at a time: each that hangs holds a thread of the process.
    this.#reading ??= Texts.read(paths, stdin, this.#once).finally(() => {
      this.#reading = undefined
    })
    const waited = new AbortController()
    const late = delay(timeoutMs, null, { ref: false, signal: AbortSignal.any([signal, waited.signal]) })
    const found = await Promise.race([this.#reading, late.catch(() => undefined)])
    waited.abort()
    if (signal.aborted) return undefined
    if (found !== null) return found
    this.#judged = undefined
    this.#refuse(`${paths.join(', ')}: no answer within ${timeoutMs} ms`)
    return undefined
  }

  #hasSettled({ digest }: Texts): boolean {
    const isSame = digest === this.#judged
    if (isSame || digest === this.#candidate) {
      this.#candidate = undefined
      this.#unsettled = 0
      return !isSame
    }
    this.#candidate = digest
    if (++this.#unsettled === MAX_UNSETTLED)
      this.#refuse(`${this.#options.paths.join(', ')}: something else is there at each look`)
    return false
  }

  async #take({ digest, text }: Texts): Promise<void> {
    this.#judged = digest
    try {
      this.#current = await this.#options.parse(text)
    } catch (error) {
      this.#refuse(error instanceof Error ? error.message : String(error))
      return
    }
    this.#fault = undefined
    this.#options.onTaken()
  }

  #refuse(why: string): void {
    if (this.#fault === why) return
    this.#fault = why
    this.#options.onFault(why)
  }
}

function isReadOnce(path: string): boolean {
  return path === STDIN || isDescriptor(path)
}

/** What was in some files at one time. One that could not be read fails when its text is asked for. */
class Texts {
  readonly #found: ReadonlyMap<string, string | Error>

  private constructor(found: ReadonlyMap<string, string | Error>) {
    this.#found = found
  }

  /** @param known is not read again */
  static async read(paths: readonly string[], stdin: Readable, known?: Texts): Promise<Texts> {
    const found = new Map(known === undefined ? [] : known.#found)
    for (const path of paths) {
      if (found.has(path)) continue
      found.set(path, await readText(path, stdin).catch((error: Error) => error))
    }
    return new Texts(found)
  }

  filter(isWanted: (path: string) => boolean): Texts {
    return new Texts(new Map([...this.#found].filter(([path]) => isWanted(path))))
  }

  /** Of all of them: the same when all are. */
  get digest(): string {
    const hash = createHash('sha256')
    for (const [path, text] of this.#found)
      hash.update(JSON.stringify([path, typeof text === 'string' ? text : { error: text.message }]))
    return hash.digest('hex')
  }

  readonly text: ReadText = async (path) => {
    const text = this.#found.get(path)
    if (typeof text === 'string') return text
    throw text ?? new Error(`${path} was not read`)
  }
}
