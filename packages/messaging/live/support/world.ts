import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Audit, readFiles } from '@kest/audit'
import { createKest, createKeySource, type Kest } from '@kest/core'
import { MockIdentityProvider, MockPolicyEngine, RecordingLogger } from '@kest/core/testing'
import { setupTelemetry } from '@kest/telemetry'
import { expect, onTestFinished } from 'vitest'

/** Who sends and who handles, with one audit trail, and an engine that can be down. Keys are throw-away. */
export interface World {
  readonly gateway: Kest
  readonly worker: Kest
  /** Whether the worker's engine cannot be reached. */
  down: boolean
  /** How often it was asked meanwhile. */
  askedInVain: number
  readonly logger: RecordingLogger
  /** Runs something in a request of a user's. */
  as<T>(user: string, fn: () => Promise<T>): Promise<T>
  /** Judges all spans: every trace is verified, and nothing is found but what is known. */
  audited(known?: readonly string[]): Promise<{ readonly traces: number; readonly entries: number }>
}

const PATIENCE_MS = 300_000

export async function createWorld(): Promise<World> {
  const folder = await mkdtemp(join(tmpdir(), 'kest-messaging-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  const logger = new RecordingLogger()
  const telemetry = setupTelemetry({
    serviceName: 'messaging',
    exporter: 'file',
    endpoint: folder,
    onOverflow: 'wait',
    waitTimeoutMs: PATIENCE_MS,
    logger,
  })
  onTestFinished(() => telemetry.shutdown())
  const gatewayIdentity = new MockIdentityProvider('gateway')
  const workerIdentity = new MockIdentityProvider('worker')
  const trust = createKeySource(
    Object.fromEntries(
      [gatewayIdentity, workerIdentity].map((one) => [one.getWorkloadId(), [one.getPublicJwk()]]),
    ),
  )
  const world = { down: false, askedInVain: 0 }
  const engine = new MockPolicyEngine(() => {
    if (!world.down) return true
    world.askedInVain++
    throw new Error('connection refused')
  })
  // Machines are busy: who does not answer in time has tests elsewhere.
  const common = { trust, logger, telemetry, policyTimeoutMs: PATIENCE_MS }
  const gateway = createKest({ identity: gatewayIdentity, engine: new MockPolicyEngine(), ...common })
  const worker = createKest({ identity: workerIdentity, engine, ...common })
  return Object.assign(world, {
    gateway,
    worker,
    logger,
    async as<T>(user: string, fn: () => Promise<T>): Promise<T> {
      const operation = await gateway.begin(
        { operation: 'POST /orders', policy: 'orders/create', origin: 'user_input', user },
        { state: null },
      )
      return operation.run(fn)
    },
    async audited(known: readonly string[] = []) {
      await telemetry.forceFlush()
      await using audit = new Audit({ trust: [trust] })
      await audit.read(readFiles([folder]))
      const doubts: string[] = []
      for await (const { traceId, verdict, findings } of audit.traces()) {
        const grave = findings.filter(({ code, severity }) => severity !== 'note' && !known.includes(code))
        if (verdict !== 'verified' || grave.length > 0)
          doubts.push(`${traceId}: ${verdict}: ${JSON.stringify(grave)}`)
      }
      expect(doubts).toEqual([])
      const { traces, entries } = audit.summary()
      return { traces, entries }
    },
  })
}
