/** A record of a log. */
export interface LogRecord {
  readonly offset: number
  /** Milliseconds since the epoch; of whoever the topic says: the broker, or who wrote it. */
  readonly timestampMs: number
  readonly key: string | null
  readonly value: Buffer | null
  readonly headers: ReadonlyMap<string, string>
}

/** Records one after the other. */
export interface LogSlice {
  readonly records: readonly LogRecord[]
  /** What was read for it: also what lies before, or was aborted. */
  readonly bytes: number
  /** Where to read on: offsets may be left out. */
  readonly next: number
  /** Where the log ended when it was read. */
  readonly end: number
}

export interface NewRecord {
  readonly topic: string
  /** Default: by its key. */
  readonly partition?: number
  readonly key: string
  /** `null`: what a compacted topic has of the key goes. */
  readonly value: Buffer | null
  readonly headers?: Readonly<Record<string, string>>
}

/** Who may write for a partition: nobody else with the same name, from when this one was made. */
export interface LogWriter {
  /**
   * All of them, or none.
   * @returns where each is
   * @throws {Fenced} when somebody else writes for it by now
   */
  append(records: readonly NewRecord[]): Promise<readonly number[]>
  close(): Promise<void>
}

/** A log that others run, as far as the fleet needs it. Every method throws {@link Unavailable} for what may pass. */
export interface Log {
  /** @throws {KestConfigError} when there is no such topic, or it may not be seen */
  partitions(topic: string): Promise<number>
  bounds(topic: string, partition: number): Promise<{ readonly start: number; readonly end: number }>
  /** The first record of that time or later; the end when there is none. */
  offsetAt(topic: string, partition: number, timeMs: number): Promise<number>
  /**
   * How long the topic keeps a record at least, milliseconds; `null`: for ever, or until a newer one has its key.
   * @throws {KestConfigError} when there is no such topic, or it may not be asked
   */
  retentionMs(topic: string): Promise<number | null>
  /**
   * What is there from an offset on, up to a bound of bytes and at least one record; nothing at the end.
   * @throws {Gone} for an offset that retention took
   */
  read(topic: string, partition: number, from: number, maxBytes?: number): Promise<LogSlice>
  /** At least once; in order for each partition. @throws {TooLarge} for what the topic does not take: then none is certain */
  append(records: readonly NewRecord[]): Promise<void>
  /** @param name one for all who write for the same partition */
  writer(name: string): Promise<LogWriter>
}

/** One of those who share the partitions of a topic. */
export interface Member {
  /**
   * @param assigned told of the partitions that are its own from now on; `anew`: others may have had them meanwhile
   * @throws {KestConfigError} when it may not
   */
  join(assigned: (partitions: readonly number[], anew: boolean) => void): Promise<void>
  /** Where to read on; `null` when nobody has said. */
  committed(partition: number): Promise<number | null>
  commit(partition: number, offset: number): Promise<void>
  leave(): Promise<void>
}

/** It may be otherwise the next time: a broker that restarts. */
export class Unavailable extends Error {
  override readonly name = 'Unavailable'
}

/** Retention took what was to be read. */
export class Gone extends Error {
  override readonly name = 'Gone'
}

/** Another writes now: whatever is done here is done elsewhere. */
export class Fenced extends Error {
  override readonly name = 'Fenced'
}

/** A record is larger than its topic takes. */
export class TooLarge extends Error {
  override readonly name = 'TooLarge'
}
