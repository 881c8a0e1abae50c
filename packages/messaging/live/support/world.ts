import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Audit, readFiles } from '@kest/audit'
import { createKest, createKeySource, type Kest, type PolicyEngine } from '@kest/core'
import { FakeClock, MockIdentityProvider, MockPolicyEngine, RecordingLogger } from '@kest/core/testing'
import { setupTelemetry } from '@kest/telemetry'
import { expect, onTestFinished } from 'vitest'
import { type Child, type ChildTask, startConsumer } from './child.js'

/** Who sends and who handles, with one audit trail. Keys are throw-away. */
export interface World {
  readonly gateway: Kest
  /** The same two hours ago. */
  readonly earlier: Kest
  readonly worker: Kest
  /** A consumer in a process of its own, whose audit trail is part of this one. */
  consumer(task: ChildTask): Promise<Child>
  readonly logger: RecordingLogger
  /** Runs something in a request of a user's, of `gateway` or another. */
  as<T>(user: string, fn: () => Promise<T>, kest?: Kest): Promise<T>
  /** Judges all spans: every trace is verified, and nothing is found but what is known. */
  audited(known?: readonly string[]): Promise<{ readonly traces: number; readonly entries: number }>
}

const PATIENCE_MS = 300_000

/** @param engine the worker's */
export async function createWorld(engine: PolicyEngine = new MockPolicyEngine()): Promise<World> {
  const folders: string[] = []
  async function newFolder(): Promise<string> {
    const folder = await mkdtemp(join(tmpdir(), 'kest-messaging-'))
    onTestFinished(() => rm(folder, { recursive: true, force: true }))
    folders.push(folder)
    return folder
  }
  const logger = new RecordingLogger()
  const telemetry = setupTelemetry({
    serviceName: 'messaging',
    exporter: 'file',
    endpoint: await newFolder(),
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
  // Machines are busy: who does not answer in time has tests elsewhere.
  const common = { trust, logger, telemetry, policyTimeoutMs: PATIENCE_MS }
  const sending = { identity: gatewayIdentity, engine: new MockPolicyEngine(), ...common }
  const gateway = createKest(sending)
  const earlier = createKest({ ...sending, clock: new FakeClock(Date.now() - 2 * 3_600_000) })
  const worker = createKest({ identity: workerIdentity, engine, ...common })
  return {
    gateway,
    earlier,
    worker,
    logger,
    consumer: async (task) => startConsumer(task, await newFolder()),
    async as<T>(user: string, fn: () => Promise<T>, kest = gateway): Promise<T> {
      const operation = await kest.begin(
        { operation: 'POST /orders', policy: 'orders/create', origin: 'user_input', user },
        { state: null },
      )
      return operation.run(fn)
    },
    async audited(known: readonly string[] = []) {
      await telemetry.forceFlush()
      await using audit = new Audit({ trust: [trust] })
      await audit.read(readFiles(folders))
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
  }
}
