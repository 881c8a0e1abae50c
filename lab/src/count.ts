import { CannotRun } from './failure.js'

/** A whole number of the command line. @throws {CannotRun} that names the option */
export function parseCount(name: string, text: string | undefined, otherwise: number, least: number): number {
  if (text === undefined) return otherwise
  const value = /^\d{1,8}$/.test(text) ? Number(text) : Number.NaN
  if (value >= least) return value
  throw new CannotRun(`${name}: expected a whole number from ${least} on, got ${JSON.stringify(text)}`)
}
