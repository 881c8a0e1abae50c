import { setFlagsFromString } from 'node:v8'
import type * as cedar from '@cedar-policy/cedar-wasm/nodejs'

export type Cedar = typeof cedar
export type { DetailedError, EntityJson, PolicyJson, SchemaJson } from '@cedar-policy/cedar-wasm/nodejs'

let loading: Promise<Cedar> | undefined

/** Cedar itself, some megabytes of WebAssembly: loaded by whoever needs it, once. */
export function loadCedar(): Promise<Cedar> {
  if (loading === undefined) {
    keepCallsWhole()
    loading = import('@cedar-policy/cedar-wasm/nodejs')
  }
  return loading
}

/**
 * The V8 of Node 20 and 22 ends the process ("unreachable code" in the deoptimizer) when code is deoptimized into which it had inlined
 * a call to WebAssembly that answers an object, as Cedar's do; that of Node 24 does not. Nothing but the inlining is given up.
 */
function keepCallsWhole(): void {
  if (Number(process.versions.v8.split('.')[0]) < 13) setFlagsFromString('--no-turbo-inline-js-wasm-calls')
}
