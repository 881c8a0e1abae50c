import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished, vi } from 'vitest'
import type { Clock } from '../../src/clock.js'
import { createKest, type Kest } from '../../src/config/kest.js'
import type { KestOptions } from '../../src/config/options.js'
import type { KestState } from '../../src/context/state.js'
import type { OperationOptions } from '../../src/hook/operation-options.js'
import { createKeySource } from '../../src/identity/keys.js'
import { MockIdentityProvider } from '../../src/identity/mock.js'
import { FakeClock } from '../../src/testing/fake-clock.js'
import { MockPolicyEngine } from '../../src/testing/mock-engine.js'
import { RecordingLogger } from '../../src/testing/recording-logger.js'

export const id = (name: string): string => `spiffe://kest.test/${name}`
const NAMES = ['edge', 'hop2', 'reader'] as const
const identities = Object.fromEntries(NAMES.map((name) => [name, new MockIdentityProvider(name)]))
const trust = createKeySource(
  Object.fromEntries(Object.values(identities).map((one) => [one.getWorkloadId(), [one.getPublicJwk()]])),
)
export const READER = 'http://reader.test'
export const ROOTS = `policies: {}
roots:
  - workload: ${id('edge')}
    ceiling: 40
    identity: true
`
export const DAY_MS = 86_400_000

export interface Service {
  readonly kest: Kest
  readonly logger: RecordingLogger
  readonly engine: MockPolicyEngine
  readonly file: string
  warnings(): string[]
}

/** A service with a deployment file of its own; '' for none. */
export function service(
  name: (typeof NAMES)[number] | 'stranger',
  deployment = ROOTS,
  clock: Clock = new FakeClock(),
  more: Partial<KestOptions> = {},
): Service {
  const folder = mkdtempSync(join(tmpdir(), 'kest-roots-'))
  const file = join(folder, 'kest.yaml')
  if (deployment !== '') writeFileSync(file, deployment)
  vi.stubEnv('KEST_CONFIG', deployment === '' ? '' : file)
  const [logger, engine] = [new RecordingLogger(), new MockPolicyEngine()]
  const kest = createKest({
    identity: identities[name] ?? new MockIdentityProvider(name),
    engine,
    trust,
    logger,
    clock,
    ...more,
  })
  vi.unstubAllEnvs()
  onTestFinished(async () => {
    await kest.close()
    rmSync(folder, { recursive: true })
  })
  const warnings = () => logger.records.filter(({ level }) => level === 'warn').map(({ message }) => message)
  return { kest, logger, engine, file, warnings }
}

export const step = (more: Partial<OperationOptions> = {}): OperationOptions => ({
  operation: 'step',
  policy: 'test/allow',
  ...more,
})

/** What a service sends on after an operation. */
export async function sends(
  { kest }: Service,
  more: Partial<OperationOptions>,
  state: KestState | null = null,
) {
  const operation = await kest.begin(step(more), { state })
  return kest.run(operation.enter(), () => kest.inject({} as Record<string, string>, READER, { hop: true }))
}
