import { AsyncResource } from 'node:async_hooks'

/** Runs a function in the asynchronous context of the moment at which this was taken. */
export type InContext = <R>(fn: () => R) => R

/** The asynchronous context of this moment: Kest's state or none, OpenTelemetry's, everyone's. */
export function contextOfNow(): InContext {
  // What `AsyncLocalStorage.snapshot()` answers, without the function that it makes anew and names.
  const resource = new AsyncResource('kest.dispatch')
  return (fn) => resource.runInAsyncScope(fn)
}
