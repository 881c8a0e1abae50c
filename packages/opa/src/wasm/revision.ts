import { canonicalize, type JsonObject, KestError, sha256Hex } from '@kest/core'

/** How deep data may nest: more than anybody writes. */
const NESTING = 1_024

/** All that decides, whatever it is asked. */
export interface PolicyText {
  readonly wasm: Uint8Array
  readonly data: JsonObject
}

/** What an engine was told of it beside. */
export interface AskedAs {
  /** As given: documents of policies by their names; a function cannot be compared with another. */
  readonly paths: Readonly<Record<string, string>> | 'function'
  readonly decisionPath: string
  /** Names of functions that the policies call and the caller brought along, whatever they do. */
  readonly builtins: readonly string[]
}

/**
 * Which text decides (K-REVISION): `rego-wasm:sha256:` and the SHA-256 of the RFC 8785 text of what policies are made of, the module by
 * its own digest. Whoever has the same module, data and options computes the same.
 *
 * @returns `undefined` where it cannot be said: `paths` are a function, or the data is no text of RFC 8785
 */
export function revisionOf({ wasm, data }: PolicyText, asked: AskedAs): string | undefined {
  const { paths, decisionPath, builtins } = asked
  if (paths === 'function') return undefined
  const text = {
    data,
    wasm: sha256Hex(wasm),
    ...(Object.keys(paths).length > 0 && { paths }),
    ...(decisionPath !== '' && { decision_path: decisionPath }),
    ...(builtins.length > 0 && { builtins: [...builtins].sort() }),
  }
  try {
    return `rego-wasm:sha256:${sha256Hex(canonicalize(text, { nesting: NESTING }))}`
  } catch (error) {
    // Half of a surrogate pair, or nested deeper: there is no such text.
    if (error instanceof KestError && error.code === 'ERR_KEST_NOT_JSON') return undefined
    throw error
  }
}
