import { types } from 'node:util'
import { type JsonObject, KestConfigError, readRegularFile } from '@kest/core'
import { mergeData } from './merge-data.js'
import { parseData, readBundle } from './read-bundle.js'
import type { PolicyText } from './revision.js'

/** Of the policies, or of the data beside them: as many as a bundle may have once it is unpacked. */
const MAX_BYTES = 128 * 1024 * 1024

/** Policies as they were read. */
export interface ReadPolicies {
  readonly module: WebAssembly.Module
  /** JSON. */
  readonly data: string
  /** What both were made of. */
  readonly text: PolicyText
  /** What the bundle is called, by who built it. */
  readonly bundleRevision: string | null
}

/** Where policies and data come from, and what was read there last, be it any good or not. */
export class PolicySource {
  readonly #policies: string | URL | Uint8Array
  readonly #dataFile: string | URL | null
  readonly #data: JsonObject
  #last: readonly Uint8Array[] = []

  constructor(policies: string | URL | Uint8Array, dataFile: string | URL | null, data: JsonObject) {
    this.#policies = policies
    this.#dataFile = dataFile
    this.#data = data
  }

  /** @throws {KestConfigError} naming what cannot be read, and why */
  async read(): Promise<ReadPolicies> {
    return this.#compile(await this.#bytes())
  }

  /** The same, unless nothing changed since the last time: then `undefined`. @throws {KestConfigError} once for each change */
  async readChange(): Promise<ReadPolicies | undefined> {
    const before = this.#last
    // What comes back after it was gone is a change.
    this.#last = []
    const bytes = await this.#bytes()
    this.#last = bytes
    const same =
      bytes.length === before.length && bytes.every((one, i) => equal(one, before[i] as Uint8Array))
    return same ? undefined : this.#compile(bytes)
  }

  async #bytes(): Promise<readonly Uint8Array[]> {
    const sources = this.#dataFile === null ? [this.#policies] : [this.#policies, this.#dataFile]
    return Promise.all(sources.map(bytesOf))
  }

  async #compile(bytes: readonly Uint8Array[]): Promise<ReadPolicies> {
    this.#last = bytes
    const [policies, data] = bytes as [Uint8Array, Uint8Array?]
    const bundle = named(this.#policies, () => readBundle(policies))
    const beside = data === undefined ? this.#data : named(this.#dataFile as string, () => parseData(data))
    const module = await WebAssembly.compile(bundle.wasm).catch((cause: unknown) => {
      throw new KestConfigError(`${nameOf(this.#policies)}: ${String(cause)}`, { cause })
    })
    const merged = mergeData(bundle.data, beside)
    return {
      module,
      data: JSON.stringify(merged),
      text: { wasm: bundle.wasm, data: merged },
      bundleRevision: bundle.revision,
    }
  }
}

async function bytesOf(source: string | URL | Uint8Array): Promise<Uint8Array> {
  if (types.isUint8Array(source)) return source
  try {
    return await readRegularFile(source, { maxBytes: MAX_BYTES })
  } catch (cause) {
    throw new KestConfigError(`${nameOf(source)}: ${(cause as Error).message}`, { cause })
  }
}

function named<T>(source: string | URL | Uint8Array, read: () => T): T {
  try {
    return read()
  } catch (error) {
    if (!(error instanceof KestConfigError)) throw error
    throw new KestConfigError(`${nameOf(source)}: ${error.message}`, { cause: error.cause })
  }
}

function nameOf(source: string | URL | Uint8Array): string {
  return types.isUint8Array(source) ? 'the policies' : String(source)
}

function equal(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0
}
