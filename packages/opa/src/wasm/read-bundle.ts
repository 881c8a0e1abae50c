import { gunzipSync } from 'node:zlib'
import { type JsonObject, KestConfigError } from '@kest/core'
import { parseTar } from 'nanotar'

/** What policies are made of. */
export interface PolicyBundle {
  readonly wasm: Uint8Array<ArrayBuffer>
  readonly data: JsonObject
  /** As its manifest names it (`opa build --revision`); `null` where it does not. */
  readonly revision: string | null
}

/** Bytes of a bundle once it is unpacked. */
const MOST_BYTES = 128 * 1024 * 1024
const GZIP = [0x1f, 0x8b]
const WASM = [0x00, 0x61, 0x73, 0x6d]

/**
 * Reads what `opa build -t wasm` writes: the bundle, or the `policy.wasm` in it. Of a bundle's data only `/data.json` is
 * there, as OPA merges all into it. A bundle's signature is *not* checked.
 *
 * @throws {KestConfigError} when it is neither
 */
export function readBundle(bytes: Uint8Array): PolicyBundle {
  if (startsWith(bytes, WASM)) return { wasm: new Uint8Array(bytes), data: {}, revision: null }
  if (!startsWith(bytes, GZIP)) throw new KestConfigError('neither WebAssembly nor a bundle of OPA (.tar.gz)')
  const files = filesOf(bytes)
  const modules = [...files].filter(([name]) => name.endsWith('.wasm'))
  const [module] = modules
  if (module === undefined) {
    throw new KestConfigError('the bundle has no WebAssembly in it: build it by `opa build -t wasm`')
  }
  if (modules.length > 1)
    throw new KestConfigError(`the bundle has ${modules.length} modules; one is expected`)
  const data = files.get('data.json')
  return {
    wasm: new Uint8Array(module[1]),
    data: data === undefined ? {} : parseData(data),
    revision: revisionIn(files.get('.manifest')),
  }
}

function revisionIn(manifest: Uint8Array | undefined): string | null {
  if (manifest === undefined) return null
  const { revision } = parseData(manifest)
  return typeof revision === 'string' && revision !== '' ? revision : null
}

/** @throws {KestConfigError} for anything but a JSON object in UTF-8 */
export function parseData(bytes: Uint8Array): JsonObject {
  let data: unknown
  try {
    data = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
  } catch (cause) {
    throw new KestConfigError('the data is not JSON', { cause })
  }
  if (typeof data === 'object' && data !== null && !Array.isArray(data)) return data as JsonObject
  throw new KestConfigError('the data is not an object')
}

function filesOf(bytes: Uint8Array): Map<string, Uint8Array> {
  try {
    const files = parseTar(gunzipSync(bytes, { maxOutputLength: MOST_BYTES }))
    return new Map(
      files.flatMap(({ name, data }) => (data === undefined ? [] : [[name.replace(/^(\.?\/)+/, ''), data]])),
    )
  } catch (cause) {
    throw new KestConfigError('the bundle cannot be unpacked', { cause })
  }
}

function startsWith(bytes: Uint8Array, magic: readonly number[]): boolean {
  return magic.every((byte, index) => bytes[index] === byte)
}
