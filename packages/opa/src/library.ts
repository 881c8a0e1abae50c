import { KestConfigError } from '@kest/core'

/**
 * Where the library of policies is, compiled: `RegoWasmEngine.load(policyLibrary(), { data: { kest: { parameters: … } } })`.
 * Its source lies beside it. In a bundle it is not beside the code: hand `RegoWasmEngine.load` the path of your copy of
 * `@kest/opa/policies/policy.wasm`, or its bytes.
 *
 * @throws {KestConfigError} in a bundle of CommonJS, which does not know where it is
 */
export function policyLibrary(): URL {
  const here: string | undefined = import.meta.url
  if (here === undefined) {
    throw new KestConfigError(
      'policyLibrary(): a bundle does not know where it is; load a copy of @kest/opa/policies/policy.wasm by its path',
    )
  }
  return new URL('../policies/policy.wasm', here)
}
