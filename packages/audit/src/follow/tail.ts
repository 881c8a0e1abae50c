import type { FileHandle } from 'node:fs/promises'
import type { SpanBatch } from '../read/batch.js'
import { readContent } from '../read/content.js'

const CHUNK_BYTES = 262_144
/** Bytes before where it goes on, by which it is known that the file is still the one that was read. */
const KNOWN_BYTES = 64

/** Reads a file as far as it goes, and later on from there: what is half written waits for its other half. */
export class Tail {
  /** Whence it is read: opened by whoever follows. */
  handle: FileHandle | null = null
  readonly #batches: AsyncGenerator<SpanBatch>
  #next: Promise<IteratorResult<SpanBatch>> | null = null
  #offset = 0
  #limit = 0
  #known: Buffer = Buffer.alloc(0)
  #over = false
  #feed: (() => void) | null = null
  #onHungry: (() => void) | null = null

  /**
   * @param name as findings call it
   * @param sniffed bytes of the beginning that say what it is
   */
  constructor(name: string, sniffed: number, maxLineBytes: number) {
    this.#batches = readContent(this.#bytes(), name, maxLineBytes, sniffed)
  }

  /** Up to where it was read. */
  get offset(): number {
    return this.#offset
  }

  /** Whether the file still has what was read of it last. @throws what the system throws */
  async isSame(): Promise<boolean> {
    const { length } = this.#known
    if (length === 0) return true
    const { bytesRead, buffer } = await this.#open.read(
      Buffer.alloc(length),
      0,
      length,
      this.#offset - length,
    )
    return bytesRead === length && buffer.equals(this.#known)
  }

  /** What is whole of it up to there. */
  async *read(limit: number): AsyncGenerator<SpanBatch> {
    this.#limit = limit
    yield* this.#whatComes()
  }

  /** The rest: what is half written, which nobody will complete. */
  async *end(): AsyncGenerator<SpanBatch> {
    this.#over = true
    yield* this.#whatComes()
  }

  async close(): Promise<void> {
    const { handle } = this
    this.handle = null
    await handle?.close()
  }

  async *#whatComes(): AsyncGenerator<SpanBatch> {
    this.#feed?.()
    this.#feed = null
    for (;;) {
      this.#next ??= this.#batches.next()
      const hungry = new Promise<null>((resolve) => {
        this.#onHungry = () => resolve(null)
      })
      const came = await (this.#feed === null ? Promise.race([this.#next, hungry]) : null)
      if (came === null) return
      if (came.done === true) return
      this.#next = null
      yield came.value
    }
  }

  async *#bytes(): AsyncGenerator<Buffer> {
    for (;;) {
      while (this.#offset < this.#limit) {
        const wanted = Math.min(CHUNK_BYTES, this.#limit - this.#offset)
        const { bytesRead, buffer } = await this.#open.read(Buffer.alloc(wanted), 0, wanted, this.#offset)
        // It was shortened meanwhile, which is seen when it is looked at again.
        if (bytesRead === 0) break
        const chunk = buffer.subarray(0, bytesRead)
        this.#offset += bytesRead
        this.#known = Buffer.concat([this.#known, chunk.subarray(-KNOWN_BYTES)]).subarray(-KNOWN_BYTES)
        yield chunk
      }
      if (this.#over) return
      await new Promise<void>((resolve) => {
        this.#feed = resolve
        this.#onHungry?.()
      })
    }
  }

  get #open(): FileHandle {
    if (this.handle === null) throw new Error('a file that is read must be open')
    return this.handle
  }
}
