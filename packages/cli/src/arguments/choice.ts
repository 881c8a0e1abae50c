import { suggestion } from './suggest.js'
import { UsageError } from './usage-error.js'

/** @throws {UsageError} when the value of an option is none of its choices */
export function oneOf<const T extends string>(option: string, value: string, choices: readonly T[]): T {
  return chosen(`--${option}`, value, choices)
}

/** @throws {UsageError} when a word is none of the choices for what it stands for */
export function chosen<const T extends string>(what: string, value: string, choices: readonly T[]): T {
  const found = choices.find((choice) => choice === value)
  if (found !== undefined) return found
  const expected = choices.join(' or ')
  throw new UsageError(`${what}: expected ${expected}, got "${value}"${suggestion(value, choices)}`)
}
