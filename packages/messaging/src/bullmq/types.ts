/** As far as they are needed, and as BullMQ has them from version 5 on: nothing of it is imported. */

export interface TelemetryOptions {
  readonly metadata?: string | undefined
  readonly omitContext?: boolean | undefined
}

export interface JobOptions {
  readonly telemetry?: TelemetryOptions | undefined
  readonly repeat?: unknown
}

/** BullMQ's own tracing, where it is on. */
export interface Telemetry {
  readonly contextManager: {
    active(): unknown
    getMetadata(context: never): string
  }
}

export interface BullQueue {
  readonly name: string
  readonly opts?: { readonly telemetry?: unknown } | undefined
  add(name: never, data: never, opts?: never): Promise<unknown>
  addBulk(jobs: never): Promise<unknown>
}

export interface BullFlow {
  readonly name: string
  readonly queueName: string
  readonly data?: unknown
  readonly opts?: object | undefined
  readonly children?: readonly BullFlow[] | undefined
}

export interface BullFlowProducer {
  readonly opts?: { readonly telemetry?: unknown } | undefined
  add(flow: never, opts?: never): Promise<unknown>
  addBulk(flows: never): Promise<unknown>
}

export interface BullJob {
  readonly id?: string | undefined
  readonly name: string
  readonly data: unknown
  readonly queueName: string
  readonly attemptsStarted?: number | undefined
  opts: { removeOnFail?: unknown; readonly telemetry?: TelemetryOptions | undefined }
  moveToDelayed(timestamp: number, token?: string): Promise<void>
}
