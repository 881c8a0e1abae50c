import type * as cedar from '@cedar-policy/cedar-wasm/nodejs'

export type Cedar = typeof cedar
export type { DetailedError, EntityJson, PolicyJson, SchemaJson } from '@cedar-policy/cedar-wasm/nodejs'

let loading: Promise<Cedar> | undefined

/** Cedar itself, some megabytes of WebAssembly: loaded by whoever needs it, once. */
export function loadCedar(): Promise<Cedar> {
  loading ??= import('@cedar-policy/cedar-wasm/nodejs')
  return loading
}
