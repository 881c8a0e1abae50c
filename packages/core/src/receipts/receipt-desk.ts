import type { Clock } from '../clock.js'
import type { Frame } from '../context/frame.js'
import { LABEL } from '../entry/entry.js'
import { KestConfigError, KestError } from '../errors.js'
import type { KeySource } from '../identity/key-source.js'
import type { IdentityProvider } from '../identity/provider.js'
import { resolveListenerOptions } from '../ingress/listener-options.js'
import { createPrincipalRules, type PrincipalRules } from '../ingress/principals.js'
import type { Limits } from '../limits.js'
import { resolveVerifyOptions, type VerifyRules } from '../passport/verify-options.js'
import { describeError } from '../telemetry/describe-error.js'
import type { Logger } from '../telemetry/logger.js'
import type { KestMetrics } from '../telemetry/metrics.js'
import { OnceAWhile } from '../telemetry/once-a-while.js'
import type { Outages } from '../telemetry/outages.js'
import type { Refusals } from '../telemetry/refusals.js'
import type { AuditSpans } from '../telemetry/spans.js'
import { type AwaitedReceipt, DispatchReceipt } from './awaited-receipt.js'
import { createNonce } from './receipt-nonce.js'
import type { ResolvedReceipts } from './receipt-options.js'

/** What a {@link ReceiptDesk} works with (P8). */
export interface ReceiptDeps {
  readonly identity: IdentityProvider | null
  readonly trust: readonly KeySource[]
  readonly raisers: ReadonlySet<string> | null
  readonly limits: Limits
  /** For saying whose key it is. */
  readonly identityTimeoutMs: number
  readonly clock: Clock
  readonly logger: Logger
  readonly metrics: KestMetrics
  readonly outages: Outages
  readonly refusals: Refusals
  readonly spans: AuditSpans
}

/** Where an instance asks for receipts, and takes them (K-RECEIPT). Of what was asked for it keeps nothing. */
export class ReceiptDesk {
  readonly options: ResolvedReceipts
  readonly limits: Limits
  readonly timeoutMs: number
  readonly clock: Clock
  readonly metrics: KestMetrics
  readonly spans: AuditSpans
  /** How signatures are verified. */
  readonly verifying: VerifyRules
  /** Whose word counts for what, now. */
  readonly rules: () => PrincipalRules
  readonly #deps: ReceiptDeps
  readonly #unnamed = new OnceAWhile()

  /** @throws {KestConfigError} without trust material, and for wrong trust domains */
  constructor(options: ResolvedReceipts, deps: ReceiptDeps) {
    if (deps.trust.length === 0)
      throw new KestConfigError('receipts: they are verified, and no trust material is configured')
    this.options = options
    this.limits = deps.limits
    this.timeoutMs = deps.identityTimeoutMs
    this.clock = deps.clock
    this.metrics = deps.metrics
    this.spans = deps.spans
    this.verifying = resolveVerifyOptions({ trust: deps.trust, limits: deps.limits, threads: 'inline' })
    const { trustDomains } = options
    const raisers = deps.raisers === null ? {} : { raisers: [...deps.raisers] }
    this.rules = createPrincipalRules(resolveListenerOptions({ trustDomains, ...raisers }), deps.identity)
    this.#deps = deps
  }

  /**
   * What one dispatch asks for, and waits for; `null` where nobody is configured for its origin.
   * @throws {KestError} `ERR_KEST_RECEIPT` where there must be one, and it could be nobody's: nothing is sent
   */
  ask(url: URL, frame: Frame): AwaitedReceipt | null {
    const { origin } = url
    const principals = this.options.principalsOf(url)
    if (principals.size === 0) {
      if (this.options.mode === 'accept') return null
      throw new KestError(
        'ERR_KEST_RECEIPT',
        `${origin}: receipts are required, and receipts.from names nobody for it; it was not sent (K-RECEIPT)`,
      )
    }
    const { tips } = frame.lineage
    return new DispatchReceipt(
      this,
      {
        origin,
        nonce: createNonce(),
        principals,
        tips,
        traceId: tips[0]?.entry.labels[LABEL.traceId],
        sentAt: this.clock.now(),
      },
      frame,
    )
  }

  /**
   * Told of a dispatch that asks for no receipt, since its client sees no answer.
   * @throws {KestError} `ERR_KEST_RECEIPT` where there must be one: nothing is sent
   */
  unasked({ origin }: URL): void {
    if (this.options.mode === 'accept') return
    throw new KestError(
      'ERR_KEST_RECEIPT',
      `${origin}: receipts are required, and this client cannot take any; it was not sent (K-RECEIPT)`,
    )
  }

  /** One that holds: whether an entry will name it, and whether its span was recorded. */
  taken({ named, recorded }: { readonly named: boolean; readonly recorded: boolean }): void {
    const { metrics, outages, logger, spans } = this.#deps
    metrics.receipt('taken')
    if (!named) {
      const count = this.#unnamed.count()
      if (count > 0)
        logger.warn(
          { count },
          'receipts came of which there are too many for an entry to name: they are exported alone',
        )
    }
    if (recorded || !spans.audited) return
    metrics.entryUnrecorded()
    outages.failed({
      what: 'the span of a receipt',
      effect: 'receipts are taken without a record',
      asked: 'audit span',
      code: 'unrecorded',
      error: undefined,
    })
  }

  wrong(origin: string, error: KestError): void {
    const { metrics, refusals } = this.#deps
    metrics.receipt('wrong')
    const { code } = error
    refusals.refused({ code, message: 'a receipt was refused' }, () => ({
      origin,
      err: describeError(error),
    }))
  }
}
