import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { policyCombinations } from '@kest/core'
import { policyPlans } from '@kest/opa/plans'
import { configurationFile } from '../files.js'
import type { Identities } from '../servers/identities.js'
import { planIdentities } from '../servers/plan-identities.js'
import { compilePolicies } from '../servers/rego-wasm.js'
import { Ports } from '../supervisor/ports.js'
import { Programs } from '../supervisor/programs.js'
import { Supervisor } from '../supervisor/supervisor.js'
import type { Watch } from '../supervisor/watch.js'
import { type RunningVariant, startVariant, type Variant } from './variants.js'

const TTL_SECONDS = 3600

interface Parts {
  readonly supervisor: Supervisor
  readonly folder: string
  readonly logs: string
  readonly programs: Readonly<Record<'opa' | 'otelcol', string>>
  readonly regoWasm: string
  readonly plans: string
  readonly progress: (text: string) => void
}

/** What each service of the chain asks of its own. */
const OWN_POLICIES = [['hop1/users_may_start'], ['hop2/from_hop1'], ['hop3/two_hops_away', 'hop3/not_sealed']]

function writePlans(file: string): void {
  const deployment = configurationFile('kest/deployment.yaml')
  const text = readFileSync(deployment, 'utf8')
  const combinations = policyCombinations({ deployment: { text, file: deployment }, policies: OWN_POLICIES })
  writeFileSync(file, policyPlans(combinations))
}

/** Where chains are measured: what several of them share, and an end for all of them. */
export class Bench implements AsyncDisposable {
  readonly #parts: Parts
  readonly #identities: Identities
  readonly #ports: Ports[] = []
  #started = 0

  private constructor(parts: Parts, identities: Identities) {
    this.#parts = parts
    this.#identities = identities
  }

  /** @throws {CannotRun} when OPA or the Collector is missing */
  static async open(bin: string | null, progress: Parts['progress'], watch: Watch): Promise<Bench> {
    const programs = new Programs(bin)
    const needed = programs.require('opa', 'otelcol')
    const folder = mkdtempSync(join(tmpdir(), 'kest-lab-'))
    chmodSync(folder, 0o711)
    const logs = mkdtempSync(join(tmpdir(), 'kest-numbers-'))
    const supervisor = await Supervisor.start(logs, folder, watch)
    const parts = {
      supervisor,
      folder,
      logs,
      programs: needed,
      progress,
      regoWasm: join(folder, 'rego.tar.gz'),
      plans: join(folder, 'kest_plans.rego'),
    }
    try {
      writePlans(parts.plans)
      await compilePolicies(needed.opa, configurationFile('opa'), parts.regoWasm)
      const plan = planIdentities(programs, 'embedded')
      const identities = await plan.start(supervisor, { folder, port: 0, ttlSeconds: TTL_SECONDS })
      return new Bench(parts, identities)
    } catch (error) {
      await supervisor.end()
      throw error
    }
  }

  /**
   * @param node that runs the services
   * @param nodeOptions its options
   */
  async start(variant: Variant, node: string, nodeOptions: readonly string[] = []): Promise<RunningVariant> {
    const { supervisor, programs, regoWasm, plans, folder, logs, progress } = this.#parts
    progress(`starting ${variant.name}`)
    const ports = await Ports.reserve(7)
    this.#ports.push(ports)
    return await startVariant(variant, `-${this.#started++}`, {
      ...{ supervisor, ports, programs, regoWasm, plans, folder, node, nodeOptions },
      identities: this.#identities,
      spansFile: join(logs, 'spans.jsonl'),
    })
  }

  /** A folder that the services' users may write to. */
  openFolder(name: string): string {
    const folder = join(this.#parts.folder, name)
    mkdirSync(folder)
    chmodSync(folder, 0o777)
    return folder
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#parts.supervisor.end()
    for (const ports of this.#ports) await ports[Symbol.asyncDispose]()
    rmSync(this.#parts.logs, { recursive: true, force: true })
  }
}
