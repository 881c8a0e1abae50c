/** Takes from a stream as many bytes as are asked for. */
export class ByteReader {
  readonly #source: AsyncIterator<Buffer>
  #rest: Buffer = Buffer.alloc(0)

  constructor(source: AsyncIterable<Buffer>) {
    this.#source = source[Symbol.asyncIterator]()
  }

  /** @returns so many bytes; fewer where the stream ends before, and none at its end */
  async take(bytes: number): Promise<Buffer> {
    const chunks: Buffer[] = []
    let missing = bytes
    while (missing > 0) {
      if (this.#rest.length === 0) {
        const { done, value } = await this.#source.next()
        if (done === true) break
        this.#rest = value
      }
      const chunk = this.#rest.subarray(0, missing)
      this.#rest = this.#rest.subarray(chunk.length)
      missing -= chunk.length
      if (chunk.length > 0) chunks.push(chunk)
    }
    return chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks)
  }

  /** So many bytes if they are there already, without waiting. */
  ready(bytes: number): Buffer | undefined {
    if (this.#rest.length < bytes) return undefined
    const taken = this.#rest.subarray(0, bytes)
    this.#rest = this.#rest.subarray(bytes)
    return taken
  }

  /** The next bytes, which stay where they are; fewer where the stream ends before. */
  async peek(bytes: number): Promise<Buffer> {
    const taken = await this.take(bytes)
    this.#rest = Buffer.concat([taken, this.#rest])
    return this.#rest.subarray(0, taken.length)
  }

  /** @returns how many bytes less there were */
  async skip(bytes: number): Promise<number> {
    let missing = bytes
    while (missing > 0) {
      const { length } = await this.take(Math.min(missing, 65_536))
      if (length === 0) break
      missing -= length
    }
    return missing
  }

  /** @returns how many bytes were left */
  async drain(): Promise<number> {
    let bytes = 0
    for await (const { length } of this.rest()) bytes += length
    return bytes
  }

  /** What was not taken. */
  async *rest(): AsyncGenerator<Buffer> {
    const rest = this.#rest
    this.#rest = Buffer.alloc(0)
    if (rest.length > 0) yield rest
    for (;;) {
      const { done, value } = await this.#source.next()
      if (done === true) return
      yield value
    }
  }
}
