/** A value that is here, or will be. Seams that may answer at once do not pay for a promise. */
export type MaybePromise<T> = T | Promise<T>

/** Whether a value must be awaited. */
export function isPromise<T>(value: MaybePromise<T>): value is Promise<T> {
  return typeof (value as { then?: unknown } | null | undefined)?.then === 'function'
}
