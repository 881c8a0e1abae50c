import type { PolicyEngine } from '@kest/core'
import { RegoWasmEngine } from '@kest/opa'
import { Agent, request } from 'undici'
import { required, type Settings } from './settings.js'

/** Who decides: policies in this process where there are compiled ones, otherwise OPA. */
export async function createEngine({ regoWasm, opa }: Settings): Promise<PolicyEngine> {
  if (regoWasm !== null) return await RegoWasmEngine.load(regoWasm)
  return askOpa(required(opa, 'OPA_URL'))
}

/** Each policy is a rule of OPA's, and must be `true`. */
function askOpa({ origin }: URL): PolicyEngine {
  const dispatcher = new Agent()
  return {
    async evaluate({ policies, context }, { signal }) {
      const question = {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ input: context }),
        dispatcher,
        signal,
      } as const
      for (const policy of policies) {
        const { statusCode, body } = await request(`${origin}/v1/data/${policy}`, question)
        const { result } = (await body.json()) as { readonly result?: unknown }
        if (statusCode !== 200) throw new Error(`OPA answered ${statusCode}`)
        if (result !== true) return { allow: false, reason: policy }
      }
      return true
    },
  }
}
