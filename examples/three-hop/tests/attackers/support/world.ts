import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { RootRule } from '@kest/core'
import { RecordingLogger } from '@kest/core/testing'
import { SPIREProvider } from '@kest/spiffe'
import { createDevAuthority } from '@kest/spiffe/dev'

const SERVICES = ['hop1', 'hop2', 'hop3', 'thief'] as const

/** Members of the domain: two honest services, the hop between them, and one more that reads along. */
export type Service = (typeof SERVICES)[number]

export const DOMAIN = 'example.org'
export const ROOTS: readonly RootRule[] = [
  { workload: `spiffe://${DOMAIN}/hop1`, ceiling: 40, identity: true },
]

/** Who everybody is, and where their records go. */
export interface World {
  readonly folder: string
  /** The deployment file of all. */
  readonly deployment: string
  readonly identities: Readonly<Record<Service, SPIREProvider>>
  /** Genuine SVIDs of authorities that nobody trusts. One calls itself `example.org`, and its workload `hop1`. */
  readonly untrusted: Readonly<Record<'hop1' | 'stranger', SPIREProvider>>
  /** The bundle of the domain, in the SPIFFE format. */
  readonly bundle: object
  close(): Promise<void>
}

export async function createWorld(): Promise<World> {
  const folder = await mkdtemp(join(tmpdir(), 'kest-attackers-'))
  const deployment = join(folder, 'kest.yaml')
  // JSON is YAML.
  await writeFile(deployment, JSON.stringify({ policies: {}, roots: ROOTS }))
  const [ours, impostor, other] = await Promise.all([
    authorityOf(DOMAIN, SERVICES),
    authorityOf(DOMAIN, ['hop1']),
    authorityOf('stranger.example', ['stranger']),
  ])
  return {
    folder,
    deployment,
    identities: ours.identities as World['identities'],
    untrusted: { ...impostor.identities, ...other.identities } as World['untrusted'],
    bundle: ours.bundle,
    async close() {
      await Promise.all([ours, impostor, other].map((one) => one.close()))
      await rm(folder, { recursive: true, force: true })
    },
  }
}

async function authorityOf(trustDomain: string, names: readonly string[]) {
  const logger = new RecordingLogger()
  const workloads = Object.fromEntries(names.map((name) => [name, {}]))
  const authority = await createDevAuthority({ trustDomain, workloads, logger })
  const identities = await Promise.all(
    names.map(async (name) => {
      const address = authority.sockets[name] as string
      return [name, await SPIREProvider.connect({ address, logger })] as const
    }),
  )
  return {
    identities: Object.fromEntries(identities),
    bundle: authority.bundle() as object,
    async close(): Promise<void> {
      for (const [, identity] of identities) identity.close()
      await authority.close()
    },
  }
}
