import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { Failure } from '../failure.js'

/** Every policy that a service or the deployment names: what the compiled file can be asked. */
const ENTRYPOINTS = [
  'enterprise/no_embargoed_item',
  'platform/minimum_trust',
  'hop1/users_may_start',
  'hop2/from_hop1',
  'hop3/two_hops_away',
  'hop3/not_sealed',
] as const

const COMPILE_MS = 60_000

/**
 * Compiles policies for the services to decide by themselves.
 * @param file the bundle that is made
 */
export async function compilePolicies(opa: string, policies: string, file: string): Promise<void> {
  const entrypoints = ENTRYPOINTS.flatMap((name) => ['-e', name])
  const args = ['build', '-t', 'wasm', ...entrypoints, '-o', file, policies]
  try {
    await promisify(execFile)(opa, args, { timeout: COMPILE_MS, killSignal: 'SIGKILL' })
  } catch (error) {
    throw new Failure(`opa build: ${(error as { stderr?: string }).stderr ?? (error as Error).message}`)
  }
}
