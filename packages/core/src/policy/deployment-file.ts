import { isUtf8 } from 'node:buffer'
import { resolve } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { Clock } from '../clock.js'
import { KestConfigError } from '../errors.js'
import { inTime } from '../in-time.js'
import { readRegularFile, readRegularFileSync } from '../regular-file.js'
import type { Logger } from '../telemetry/logger.js'
import type { KestMetrics } from '../telemetry/metrics.js'
import { type Deployment, EMPTY_DEPLOYMENT, parseDeployment } from './deployment.js'
import { ObservationNotices } from './observation-notices.js'

const REMEDY = 'mend it, or put it back, before the next start: that would fail'
const WARNING = { type: 'KestWarning', code: 'ERR_KEST_CONFIG' }

/** Where the deployment's word comes from, as it is now. */
export interface DeploymentSource {
  /** Another object when it has changed. */
  readonly current: Deployment
  /** Idempotent; what was last in force stays so. */
  close(): void
}

/** A process that was given no file has no upper tiers. */
export const NO_DEPLOYMENT: DeploymentSource = Object.freeze({ current: EMPTY_DEPLOYMENT, close: () => {} })

export interface DeploymentFileOptions {
  readonly logger: Logger
  readonly metrics: Pick<KestMetrics, 'reloaded'>
  readonly clock: Clock
  /** How often to look. Default 1,000 ms. */
  readonly intervalMs?: number
  /** How long a look may take. Default 5,000 ms. */
  readonly timeoutMs?: number
  /** How often to say again that the file is broken. Default 60,000 ms. */
  readonly reminderMs?: number
}

/**
 * Follows the deployment file: whole, or not at all. A file that is gone or broken leaves in force what was, and that is
 * logged as an error and counted, when it happens and again while it lasts.
 *
 * The file is read again, rather than watched for events, so that mounted volumes, replaced symbolic links (a Kubernetes
 * ConfigMap) and network file systems work alike. What has changed is taken when a second look finds the same, so that
 * one does not take half of what an editor is writing. A look that hangs, as on a network mount that is gone, is such a fault,
 * and the next begins when it has ended. The timer keeps no process alive.
 */
export class DeploymentFile implements DeploymentSource {
  readonly #path: string
  readonly #options: DeploymentFileOptions
  readonly #notices: ObservationNotices
  readonly #closing = new AbortController()
  #current: Deployment
  /** What was last parsed, whether or not it held; `undefined` when the next look must parse again. */
  #judged: Buffer | undefined
  /** What the last look found, if that differed. */
  #candidate: Buffer | undefined
  #reading: Promise<Buffer> | undefined
  #fault: { readonly message: string; readonly saidAt: number } | undefined

  /**
   * Reads the file, and follows it.
   * @throws {KestConfigError} naming file, path and reason
   */
  constructor(path: string, options: DeploymentFileOptions) {
    // Once: the process may change its folder, and must not follow another file then.
    this.#path = resolve(path)
    this.#options = options
    try {
      this.#judged = readRegularFileSync(this.#path)
    } catch (cause) {
      throw unreadable(this.#path, cause)
    }
    this.#current = parse(this.#judged, this.#path, options.clock.now())
    this.#notices = new ObservationNotices(this.#path, options.clock, options.logger)
    this.#warnOfExpired()
    this.#notices.look(this.#current.observe)
    void this.#follow()
  }

  get current(): Deployment {
    return this.#current
  }

  close(): void {
    this.#closing.abort()
  }

  async #follow(): Promise<void> {
    const { signal } = this.#closing
    const { intervalMs = 1_000 } = this.#options
    while (!signal.aborted) {
      // Rejects only when it is closed.
      await delay(intervalMs, undefined, { ref: false, signal }).catch(() => undefined)
      if (signal.aborted) return
      // Before the file is looked at: what has expired has, also where that takes its time.
      this.#reporting(() => this.#notices.look(this.#current.observe))
      const found = await this.#find()
      if (signal.aborted) return
      this.#reporting(() => this.#look(found))
    }
  }

  /** The application's logger or meter: that it fails ends neither the process nor what keeps its policies current. */
  #reporting(what: () => void): void {
    try {
      what()
    } catch (error) {
      process.emitWarning(`the deployment file is followed, but not reported: ${String(error)}`, WARNING)
    }
  }

  /** At most one read at a time: each that hangs holds a thread of the process. */
  async #find(): Promise<Buffer | KestConfigError> {
    this.#reading ??= readRegularFile(this.#path).finally(() => {
      this.#reading = undefined
    })
    const { timeoutMs = 5_000 } = this.#options
    const late = (ms: number) => new KestConfigError(`no answer within ${ms} ms`)
    const patience = { ms: timeoutMs, late, signal: this.#closing.signal }
    return await inTime(this.#reading, patience).catch((cause: unknown) => unreadable(this.#path, cause))
  }

  #look(found: Buffer | KestConfigError): void {
    if (found instanceof KestConfigError) {
      this.#judged = undefined
      this.#candidate = undefined
      this.#refuse(found)
    } else if (this.#judged?.equals(found)) {
      this.#candidate = undefined
      this.#remind()
    } else if (this.#candidate?.equals(found)) {
      this.#take(found)
    } else {
      this.#candidate = found
      this.#remind()
    }
  }

  #take(bytes: Buffer): void {
    this.#judged = bytes
    this.#candidate = undefined
    try {
      this.#current = parse(bytes, this.#path, this.#options.clock.now())
    } catch (error) {
      this.#refuse(error as KestConfigError)
      return
    }
    this.#fault = undefined
    const { policies, deviations, roots, rootsPolicy, observe } = this.#current
    this.#options.metrics.reloaded('ok')
    this.#options.logger.info(
      { file: this.#path, policies, deviations, roots: roots?.rules, roots_policy: rootsPolicy, observe },
      'the deployment file was loaded again',
    )
    this.#warnOfExpired()
    this.#notices.look(observe)
  }

  #refuse(error: KestConfigError): void {
    if (this.#fault?.message !== error.message) this.#complain(error.message)
    else this.#remind()
  }

  #remind(): void {
    if (this.#fault === undefined) return
    const { clock, reminderMs = 60_000 } = this.#options
    if (Math.abs(clock.now() - this.#fault.saidAt) >= reminderMs) this.#complain(this.#fault.message)
  }

  #complain(message: string): void {
    const { clock, logger, metrics } = this.#options
    this.#fault = { message, saidAt: clock.now() }
    metrics.reloaded('ERR_KEST_CONFIG')
    logger.error(
      { file: this.#path, code: 'ERR_KEST_CONFIG', err: message, remedy: REMEDY },
      'the deployment file is broken: what was in force before stays so',
    )
  }

  #warnOfExpired(): void {
    const { clock, logger } = this.#options
    const now = clock.now()
    for (const { policy, tier, scope, expiresAt } of this.#current.deviations) {
      if (expiresAt === undefined || now < expiresAt) continue
      const expires = new Date(expiresAt).toISOString()
      logger.warn(
        { file: this.#path, policy, tier, scope, expires },
        'a deviation has expired and exempts nothing',
      )
    }
  }
}

/**
 * Reads a deployment file once, as a service does when it starts; see {@link parseDeployment} for what may stand in it.
 *
 * @param now as of when an observation ends at most 90 days ahead; milliseconds since the epoch
 * @throws {KestConfigError} by rejecting, naming file, path and reason
 */
export async function readDeploymentFile(path: string, now: number = Date.now()): Promise<Deployment> {
  const bytes = await readRegularFile(path).catch((cause: unknown) => {
    throw unreadable(path, cause)
  })
  return parse(bytes, path, now)
}

/** What is not UTF-8 is refused, lest a name be another than the one that was written. */
function parse(bytes: Buffer, path: string, now: number): Deployment {
  if (!isUtf8(bytes)) throw new KestConfigError(`${path}: it is not UTF-8`)
  return parseDeployment(bytes.toString('utf8'), path, now)
}

function unreadable(path: string, cause: unknown): KestConfigError {
  const why = cause instanceof Error ? cause.message : String(cause)
  return new KestConfigError(`${path}: cannot be read: ${why}`, { cause })
}
