import {
  Fenced,
  Gone,
  type Log,
  type LogRecord,
  type LogSlice,
  type LogWriter,
  type Member,
  type NewRecord,
} from '../log/log.js'

/** A log in memory, with what can go wrong: retention, writers that are fenced, and failures that tests ask for. */
export class MemoryLog implements Log {
  readonly #topics = new Map<string, LogRecord[][]>()
  readonly #starts = new Map<string, number>()
  readonly #writers = new Map<string, number>()
  readonly #committed = new Map<string, number>()
  readonly #perSlice: number
  /** Bytes that were read, by topic. */
  readonly bytesRead = new Map<string, number>()
  /** Of what is written, milliseconds. */
  now = 0
  /** How long topics keep what is written, milliseconds; others keep it for ever. */
  readonly retention = new Map<string, number>()
  /** Readings that are answered with nothing, though something is there. */
  unanswered = 0
  /** Thrown by the next write. */
  failing: Error | null = null
  /** Thrown by the next write, though all of it is there: its answer was lost. */
  unheard: Error | null = null

  constructor(topics: Readonly<Record<string, number>>, perSlice = 100) {
    for (const [topic, count] of Object.entries(topics))
      this.#topics.set(
        topic,
        Array.from({ length: count }, () => []),
      )
    this.#perSlice = perSlice
  }

  async partitions(topic: string): Promise<number> {
    return this.#of(topic).length
  }

  async bounds(topic: string, partition: number): Promise<{ start: number; end: number }> {
    return { start: this.#start(topic, partition), end: this.#of(topic)[partition]?.length ?? 0 }
  }

  async offsetAt(topic: string, partition: number, timeMs: number): Promise<number> {
    const records = this.#of(topic)[partition] ?? []
    const at = records.findIndex(({ timestampMs }) => timestampMs >= timeMs)
    return at === -1 ? records.length : Math.max(at, this.#start(topic, partition))
  }

  async retentionMs(topic: string): Promise<number | null> {
    return this.retention.get(topic) ?? null
  }

  async read(topic: string, partition: number, from: number, maxBytes = Infinity): Promise<LogSlice> {
    const { start, end } = await this.bounds(topic, partition)
    if (from < start || from > end) throw new Gone(`offset ${from}`)
    if (this.unanswered > 0) {
      this.unanswered--
      return { records: [], bytes: 0, next: from, end }
    }
    const records = this.all(topic, partition)
      .filter(({ offset }) => offset >= from)
      .slice(0, maxBytes === 1 ? 1 : this.#perSlice)
    const bytes = records.reduce((sum, { value }) => sum + (value?.length ?? 0), 0)
    this.bytesRead.set(topic, (this.bytesRead.get(topic) ?? 0) + bytes)
    return { records, bytes, next: (records.at(-1)?.offset ?? from - 1) + 1, end }
  }

  async append(records: readonly NewRecord[]): Promise<void> {
    this.#write(records)
  }

  async writer(name: string): Promise<LogWriter> {
    const epoch = (this.#writers.get(name) ?? 0) + 1
    this.#writers.set(name, epoch)
    return {
      append: async (records) => {
        if (this.#writers.get(name) !== epoch) throw new Fenced(name)
        return this.#write(records)
      },
      close: async () => {},
    }
  }

  async close(): Promise<void> {}

  /** All that is there of a partition. */
  all(topic: string, partition: number): LogRecord[] {
    const start = this.#start(topic, partition)
    return (this.#of(topic)[partition] ?? []).filter(({ offset }) => offset >= start)
  }

  /** Retention: what is before that is gone. */
  forget(topic: string, partition: number, before: number): void {
    this.#starts.set(`${topic}/${partition}`, before)
  }

  /** What is older than its topic keeps is gone. */
  expire(): void {
    for (const [topic, keepMs] of this.retention)
      for (const [partition, records] of this.#of(topic).entries()) {
        const first = records.findIndex(({ timestampMs }) => timestampMs >= this.now - keepMs)
        this.forget(topic, partition, first === -1 ? records.length : first)
      }
  }

  /** The only member of a group. */
  member(group: string, topic: string): Member {
    const name = (partition: number): string => `${group}/${topic}/${partition}`
    return {
      join: async (assigned) =>
        assigned(
          this.#of(topic).map((_, partition) => partition),
          true,
        ),
      committed: async (partition) => this.#committed.get(name(partition)) ?? null,
      commit: async (partition, offset) => void this.#committed.set(name(partition), offset),
      leave: async () => {},
    }
  }

  #start(topic: string, partition: number): number {
    return this.#starts.get(`${topic}/${partition}`) ?? 0
  }

  #of(topic: string): LogRecord[][] {
    const partitions = this.#topics.get(topic)
    if (partitions === undefined) throw new Error(`no topic ${topic}`)
    return partitions
  }

  #write(records: readonly NewRecord[]): number[] {
    const { failing } = this
    this.failing = null
    if (failing !== null) throw failing
    const offsets = records.map(({ topic, partition, key, value, headers = {} }) => {
      const partitions = this.#of(topic)
      const sum = [...key].reduce((n, character) => n + character.charCodeAt(0), 0)
      const own = partitions[partition ?? sum % partitions.length] as LogRecord[]
      const offset = own.length
      own.push({ offset, timestampMs: this.now, key, value, headers: new Map(Object.entries(headers)) })
      return offset
    })
    const { unheard } = this
    this.unheard = null
    if (unheard !== null) throw unheard
    return offsets
  }
}
