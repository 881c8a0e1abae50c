import { closeSync, openSync, readSync } from 'node:fs'
import { KestError } from '@kest/core'

/** Bytes of a file that are read at once where it is read on, and where it is not; more only where one record is larger. */
const ON_BYTES = 1_048_576
const ELSEWHERE_BYTES = 65_536

/** Records one after the other, wherever they are. */
export interface Records {
  /** Of all of them. */
  readonly bytes: number
  /** Valid until the next is asked for. */
  slice(at: number, length: number): Buffer
  close(): void
}

/** Where each whole frame begins. */
export function* positions(records: Records): Generator<number> {
  for (let at = 0; at + FRAME_LENGTH_BYTES <= records.bytes; ) {
    const length = lengthAt(records, at)
    if (at + length > records.bytes) return
    yield at
    at += length
  }
}

/** The frame that begins there. */
export function frameAt(records: Records, at: number): Buffer {
  return records.slice(at, lengthAt(records, at))
}

const FRAME_LENGTH_BYTES = 4

function lengthAt(records: Records, at: number): number {
  return records.slice(at, FRAME_LENGTH_BYTES).readUInt32LE()
}

export class RecordsInMemory implements Records {
  readonly #bytes: Buffer

  constructor(bytes: Buffer) {
    this.#bytes = bytes
  }

  get bytes(): number {
    return this.#bytes.length
  }

  slice(at: number, length: number): Buffer {
    return this.#bytes.subarray(at, at + length)
  }

  /** Nothing is held open. */
  close(): void {}
}

/** More than is to be in memory. Read in order, each byte is read once. */
export class RecordsInFile implements Records {
  readonly bytes: number
  readonly #descriptor: number
  #window: Buffer = Buffer.alloc(0)
  #from = 0

  constructor(path: string, bytes: number) {
    this.bytes = bytes
    this.#descriptor = openSync(path, 'r')
  }

  slice(at: number, length: number): Buffer {
    if (at < this.#from || at + length > this.#from + this.#window.length) this.#read(at, length)
    return this.#window.subarray(at - this.#from, at - this.#from + length)
  }

  close(): void {
    closeSync(this.#descriptor)
  }

  #read(at: number, least: number): void {
    const isOn = at >= this.#from && at <= this.#from + this.#window.length
    const wanted = Math.max(least, Math.min(isOn ? ON_BYTES : ELSEWHERE_BYTES, this.bytes - at))
    const window = Buffer.allocUnsafe(wanted)
    readWhole(this.#descriptor, window, at)
    this.#window = window
    this.#from = at
  }
}

/** As many bytes of a file as there is room for, from there on. @throws {KestError} when it has fewer */
export function readWhole(descriptor: number, bytes: Buffer, from: number): void {
  let read = 0
  while (read < bytes.length) {
    const more = readSync(descriptor, bytes, read, bytes.length - read, from + read)
    if (more === 0) throw new KestError('ERR_KEST_EVIDENCE', 'temporary files: one has become shorter')
    read += more
  }
}
