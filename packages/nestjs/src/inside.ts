import { isObservable, Observable } from 'rxjs'
import { type Run, streamInside } from './streams.js'

/**
 * What a handler answered, so that what it does later happens in the operation as well: subscribing to an Observable, what
 * that emits whoever causes it, the steps of an asynchronous generator, and what a stream does when it is read.
 */
export function inside(run: Run, answer: unknown): unknown {
  if (isObservable(answer)) return observedInside(run, answer)
  return isGenerator(answer) ? generatedInside(run, answer) : streamInside(run, answer)
}

function observedInside(run: Run, source: Observable<unknown>): Observable<unknown> {
  return new Observable((subscriber) =>
    run(() =>
      source.subscribe({
        next: (value) => run(() => subscriber.next(streamInside(run, value))),
        error: (error) => run(() => subscriber.error(error)),
        complete: () => run(() => subscriber.complete()),
      }),
    ),
  )
}

function isGenerator(value: unknown): value is AsyncGenerator {
  const { next, throw: fail } = (value ?? {}) as Partial<AsyncGenerator>
  const isIterable = typeof (value as Partial<AsyncGenerator> | null)?.[Symbol.asyncIterator] === 'function'
  return isIterable && typeof next === 'function' && typeof fail === 'function'
}

async function* generatedInside(run: Run, generator: AsyncGenerator): AsyncGenerator {
  try {
    for (;;) {
      const { done, value } = await run(() => generator.next())
      if (done) return value
      yield value
    }
  } finally {
    await run(() => generator.return(undefined))
  }
}
