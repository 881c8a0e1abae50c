import { channel } from 'node:diagnostics_channel'

/** What handlers tell whoever listens in the same process: which item they act on. Nobody listens, it costs nothing. */
export const EXECUTED = 'kest.lab.executed'

const executed = channel(EXECUTED)

/** That a handler runs: first thing that it does. */
export function tellExecuted(item: string): void {
  executed.publish(item)
}
