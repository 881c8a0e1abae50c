import { assertOptions } from '../assert-options.js'
import { MemoryReplayStore } from '../binding/replay-store.js'
import { systemClock } from '../clock.js'
import { KestConfigError } from '../errors.js'
import { Denials } from '../hook/denials.js'
import type { OperationDefinition } from '../hook/operation-definition.js'
import { Outcomes } from '../hook/outcomes.js'
import type { HookRuntime } from '../hook/runtime.js'
import { Sequence } from '../hook/sequence.js'
import { type KeySource, toKeySources } from '../identity/key-source.js'
import { resolveLimits } from '../limits.js'
import { SignatureCache } from '../passport/signature-cache.js'
import { DeploymentFile, type DeploymentSource, NO_DEPLOYMENT } from '../policy/deployment-file.js'
import { ObservationsInForce } from '../policy/observations-in-force.js'
import { PolicyPlanners } from '../policy/planners.js'
import { RootsInForce } from '../policy/roots-in-force.js'
import type { CacheProvider } from '../propagation/cache.js'
import { type ResolvedPropagation, resolvePropagation } from '../propagation/options.js'
import { Pseudonymizer } from '../pseudonyms/pseudonymizer.js'
import { ReceiptDesk } from '../receipts/receipt-desk.js'
import { resolveReceipts } from '../receipts/receipt-options.js'
import { stderrLogger } from '../telemetry/logger.js'
import { KestMetrics } from '../telemetry/metrics.js'
import { Outages } from '../telemetry/outages.js'
import { Refusals } from '../telemetry/refusals.js'
import { AuditSpans } from '../telemetry/spans.js'
import { defaultTrustEvaluator } from '../trust/evaluator.js'
import { createOriginMap } from '../trust/origins.js'
import { toPrincipals } from '../trust/to-principals.js'
import { assertEngine, assertPart } from './assert-part.js'
import type { KestOptions } from './options.js'
import { resolveTelemetry } from './telemetry-options.js'
import { warnOfTelemetry } from './telemetry-warnings.js'

/** Names of the options there are; others are refused. */
const KNOWN: ReadonlySet<string> = new Set<keyof KestOptions>([
  'identity',
  'subject',
  'engine',
  'trust',
  'cache',
  'origins',
  'trustEvaluator',
  'raisers',
  'denials',
  'policyTimeoutMs',
  'identityTimeoutMs',
  'maxStateMs',
  'propagation',
  'outcomes',
  'receipts',
  'limits',
  'telemetry',
  'logger',
  'clock',
])

/** Everything that one instance works with, checked and complete. */
export interface Runtime extends HookRuntime {
  readonly trust: readonly KeySource[]
  readonly cache: CacheProvider | null
  readonly deployment: DeploymentSource
  readonly observations: ObservationsInForce
  readonly propagation: ResolvedPropagation
  /** Asks whom it calls for receipts; `null`: it does not (K-RECEIPT). */
  readonly receipts: ReceiptDesk | null
  readonly signatures: SignatureCache
  /** One for all listeners: they may be called by the same origin. */
  readonly replay: MemoryReplayStore
}

/**
 * @throws {KestConfigError} for unknown or wrong options, and for a deployment file (`KEST_CONFIG`) that is not right.
 */
export function createRuntime(options: KestOptions): Runtime {
  assertOptions('Kest', options, KNOWN)
  assertPart('identity', options.identity, ['current', 'getWorkloadId'])
  assertEngine('engine', options.engine)
  assertPart('cache', options.cache, ['get', 'setIfAbsent'])
  assertPart('logger', options.logger, ['debug', 'info', 'warn', 'error'])
  assertPart('clock', options.clock, ['now'])
  assertPart('trustEvaluator', options.trustEvaluator, ['calculate'])
  const telemetry = resolveTelemetry(options.telemetry)
  const raisers = toPrincipals('raisers', options.raisers)
  const denials = denialsOf(options.denials)
  const pseudonyms = options.subject === undefined ? null : new Pseudonymizer(options.subject)
  const trust = options.trust === undefined ? [] : toKeySources('trust', options.trust)
  const policyTimeoutMs = toDelay('policyTimeoutMs', options.policyTimeoutMs ?? 1_000)
  const identityTimeoutMs = toDelay('identityTimeoutMs', options.identityTimeoutMs ?? 5_000)
  const maxStateMs = toDelay('maxStateMs', options.maxStateMs ?? 3_600_000)

  const { outcomes = false } = options
  if (typeof outcomes !== 'boolean') throw new KestConfigError('outcomes: expected a boolean')
  const receiptOptions = resolveReceipts(options.receipts)

  const limits = resolveLimits(options.limits)
  const cache = options.cache ?? null
  const logger = options.logger ?? stderrLogger
  const clock = options.clock ?? systemClock
  const metrics = new KestMetrics(telemetry.meterProvider)
  const origins = createOriginMap(options.origins)
  const propagation = resolvePropagation({
    ...options.propagation,
    ...(cache === null ? {} : { cache }),
    limits,
    clock,
  })
  const outages = new Outages(logger)
  const refusals = new Refusals(logger)
  const spans = new AuditSpans({
    tracerProvider: telemetry.tracerProvider,
    passport: telemetry.passport ?? true,
  })
  const identity = options.identity ?? null
  const receipts =
    receiptOptions &&
    new ReceiptDesk(receiptOptions, {
      identity,
      trust,
      raisers,
      limits,
      identityTimeoutMs,
      clock,
      logger,
      metrics,
      outages,
      refusals,
      spans,
    })
  // The last thing that can fail, and the one that must be closed.
  const file = process.env['KEST_CONFIG']
  const deployment =
    file === undefined || file === '' ? NO_DEPLOYMENT : new DeploymentFile(file, { logger, metrics, clock })
  const planners = new PolicyPlanners(deployment)
  warnOfTelemetry(telemetry.tracerProvider, logger)
  return Object.freeze({
    identity,
    engine: options.engine ?? null,
    pseudonyms,
    plannerOf: (definition: OperationDefinition) => planners.of(definition),
    policyTimeoutMs,
    identityTimeoutMs,
    maxStateMs,
    origins,
    trustEvaluator: options.trustEvaluator ?? defaultTrustEvaluator,
    raisers,
    limits,
    clock,
    logger,
    outages,
    refusals,
    spans,
    auditTrail: telemetry.auditTrail ?? null,
    metrics,
    sequence: new Sequence(),
    denials,
    outcomes: outcomes || receipts !== null ? new Outcomes() : null,
    receipts,
    roots: new RootsInForce(deployment, logger),
    trust,
    cache,
    deployment,
    observations: new ObservationsInForce(deployment, clock),
    propagation,
    signatures: new SignatureCache(),
    replay: new MemoryReplayStore({ clock }),
  })
}

/** A longer delay overflows a timer, which then fires at once. */
function toDelay(name: string, ms: number): number {
  if (Number.isSafeInteger(ms) && ms >= 1 && ms <= 0x7fffffff) return ms
  throw new KestConfigError(`${name}: expected a positive integer, got ${String(ms)}`)
}

function denialsOf(option: unknown = 'signed'): Denials | null {
  if (option === 'signed') return new Denials()
  if (option === 'unsigned') return null
  throw new KestConfigError(`denials: expected 'signed' or 'unsigned', got ${String(option)}`)
}
