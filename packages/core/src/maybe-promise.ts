import { types } from 'node:util'

/** A value that is here, or will be. Seams that may answer at once do not pay for a promise. */
export type MaybePromise<T> = T | Promise<T>

/** Whether a value must be awaited: whatever has a `then`, as `await` sees it. Classes of promises are many. */
export function isPromise<T>(value: MaybePromise<T>): value is Promise<T> {
  return typeof (value as { then?: unknown } | null | undefined)?.then === 'function'
}

/**
 * Whether what {@link answered} or `Promise.resolve` made of an answer is to be waited for: by what it is. Its `then` has been
 * read, and one that is computed may say something else, or throw, the second time.
 */
export function isNativePromise<T>(value: MaybePromise<T>): value is Promise<T> {
  return types.isPromise(value)
}

/**
 * What another's code answered, to be gone on with: a promise, where it is one of another kind. Such a one may have no more
 * than a `then`, which answers nothing, calls back twice, or at once.
 */
export function answered<T>(answer: MaybePromise<T>): MaybePromise<T> {
  return isPromise(answer) && !types.isPromise(answer) ? Promise.resolve(answer) : answer
}
