import type { Clock } from '../clock.js'
import type { IdentityProvider } from '../identity/provider.js'
import type { Limits } from '../limits.js'
import type { PolicyEngine } from '../policy/engine.js'
import type { RootsInForce } from '../policy/roots-in-force.js'
import type { PolicyPlanner } from '../policy/tiers.js'
import type { Pseudonymizer } from '../pseudonyms/pseudonymizer.js'
import type { AuditTrail } from '../telemetry/audit-trail.js'
import type { Logger } from '../telemetry/logger.js'
import type { KestMetrics } from '../telemetry/metrics.js'
import type { Outages } from '../telemetry/outages.js'
import type { Refusals } from '../telemetry/refusals.js'
import type { AuditSpans } from '../telemetry/spans.js'
import type { TrustEvaluator } from '../trust/evaluator.js'
import type { OriginMap } from '../trust/origins.js'
import type { Denials } from './denials.js'
import type { OperationDefinition } from './operation-definition.js'
import type { Outcomes } from './outcomes.js'
import type { Sequence } from './sequence.js'

/** The parts that a hook works with (P8). */
export interface HookRuntime {
  readonly identity: IdentityProvider | null
  readonly engine: PolicyEngine | null
  /** Names those who act (K-PSEUDONYM); `null`: in clear. */
  readonly pseudonyms: Pseudonymizer | null
  /** Lays the deployment's tiers over an operation's policies; one planner per definition. */
  plannerOf(definition: OperationDefinition): PolicyPlanner
  readonly policyTimeoutMs: number
  /** For saying who signs, and for the signature, each. */
  readonly identityTimeoutMs: number
  /** Bound of a state that an operation opens outside any other (K-STATE). */
  readonly maxStateMs: number
  readonly origins: OriginMap
  readonly trustEvaluator: TrustEvaluator
  /** Principals whose raises count; `null`: those of this workload's own trust domain (K-EFF). */
  readonly raisers: ReadonlySet<string> | null
  readonly limits: Limits
  readonly clock: Clock
  readonly logger: Logger
  readonly outages: Outages
  readonly refusals: Refusals
  readonly spans: AuditSpans
  /** Has a say in what runs; `null`: records are emitted, and that is all. */
  readonly auditTrail: AuditTrail | null
  readonly metrics: KestMetrics
  readonly sequence: Sequence
  /** Signs refusals (K-DENIAL); `null`: they are emitted unsigned. */
  readonly denials: Denials | null
  /** Records how operations end; `null`: nobody does (K-OUTCOME). */
  readonly outcomes: Outcomes | null
  readonly roots: RootsInForce
}
