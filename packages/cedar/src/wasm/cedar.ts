import { readFile } from 'node:fs/promises'
import { types } from 'node:util'
import { setFlagsFromString } from 'node:v8'
import type * as cedar from '@cedar-policy/cedar-wasm/nodejs'
import { KestConfigError } from '@kest/core'

/** What all builds of the package have in common. */
export type Cedar = Omit<typeof cedar, 'default'>
export type { DetailedError, EntityJson, PolicyJson, SchemaJson } from '@cedar-policy/cedar-wasm/nodejs'

let loading: Promise<Cedar> | undefined
let loadingFrom: Promise<Cedar> | undefined

/**
 * Cedar itself, some megabytes of WebAssembly: loaded by whoever needs it, once.
 *
 * @param module where its WebAssembly is; from beside its package's code unless given
 * @throws {KestConfigError} for a module that cannot be read or is none; it may be given anew then
 */
export function loadCedar(module?: string | URL | Uint8Array): Promise<Cedar> {
  if (module === undefined) {
    if (loading === undefined) {
      keepCallsWhole()
      loading = import('@cedar-policy/cedar-wasm/nodejs')
    }
    return loading
  }
  if (loadingFrom === undefined) {
    keepCallsWhole()
    loadingFrom = loadFrom(module)
    loadingFrom.catch(() => {
      loadingFrom = undefined
    })
  }
  return loadingFrom
}

/** The package's code for browsers is the one that reads no file by itself. */
async function loadFrom(module: string | URL | Uint8Array): Promise<Cedar> {
  const cedar = await import('@cedar-policy/cedar-wasm/web')
  try {
    const bytes = types.isUint8Array(module) ? module : await readFile(module)
    cedar.initSync({ module: bytes as Uint8Array<ArrayBuffer> })
  } catch (cause) {
    throw new KestConfigError(`CedarWasmEngine.module: ${(cause as Error).message}`, { cause })
  }
  return cedar
}

/**
 * The V8 of Node 20 and 22 ends the process ("unreachable code" in the deoptimizer) when code is deoptimized into which it had inlined
 * a call to WebAssembly that answers an object, as Cedar's do; that of Node 24 does not. Nothing but the inlining is given up.
 */
function keepCallsWhole(): void {
  if (Number(process.versions.v8.split('.')[0]) < 13) setFlagsFromString('--no-turbo-inline-js-wasm-calls')
}
