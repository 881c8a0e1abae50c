import { Pool } from 'undici'
import type { Link } from './lineage.js'

/** Whether OPA allows: one bare `POST` for one policy, with the context that Kest would ask with. */
export function createQuestion(
  url: URL,
  policy: string,
  workload: string,
): (links: readonly Link[], item: string) => Promise<boolean> {
  const pool =
    url.protocol === 'unix:'
      ? new Pool('http://opa', { socketPath: url.pathname, connections: 128 })
      : new Pool(url.origin, { connections: 128 })
  const question = {
    method: 'POST',
    path: `/v1/data/${policy}`,
    headers: { 'content-type': 'application/json' },
  } as const
  return async (links, item) => {
    const body = JSON.stringify({ input: contextOf(links, item, policy, workload) })
    const answer = await pool.request({ ...question, body })
    const { result } = (await answer.body.json()) as { readonly result?: unknown }
    return result === true
  }
}

function contextOf(links: readonly Link[], item: string, policy: string, workload: string): object {
  const last = links.at(-1)
  const trustScore = last?.payload.trust_score ?? 40
  return {
    subject: {
      workload,
      user: null,
      agent: null,
      task: null,
      identity_by: null,
      trust_score: trustScore,
      taints: [],
    },
    object: { id: item, attributes: {} },
    environment: {
      is_root: last === undefined,
      source_type: last === undefined ? 'user_input' : 'internal',
      parent_hash: last?.hash ?? '0',
      policy_names: [policy],
      policy_tier: 'function',
      active_deviations: [],
      classification: 'system',
    },
    identity: { workload_id: workload },
    trust_score: trustScore,
    lineage: {
      depth: links.length,
      principals: links.map(({ payload }) => payload.labels.principal),
      operations: links.map(({ payload }) => payload.operation),
      classifications: links.map(({ payload }) => payload.classification),
    },
  }
}
