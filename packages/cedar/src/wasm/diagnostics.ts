import { KestConfigError } from '@kest/core'
import type { DetailedError } from './cedar.js'

/** What Cedar has against a text, in its own words, each with its place. @throws {KestConfigError} always */
export function refuse(name: string, errors: readonly DetailedError[], text?: string): never {
  throw new KestConfigError(
    errors.map((error) => `${name}${placeOf(error, text)}: ${describe(error)}`).join('\n'),
    {
      cause: errors,
    },
  )
}

/** In one line. */
export function describe({ message, help, sourceLocations = [] }: DetailedError): string {
  const labels = sourceLocations.flatMap(({ label }) => (label === null ? [] : [label]))
  return [message, ...labels, ...(help === null ? [] : [help])].join('; ')
}

/** `:line:column`, from an offset in bytes. */
function placeOf({ sourceLocations = [] }: DetailedError, text: string | undefined): string {
  const start = sourceLocations[0]?.start
  if (start === undefined || text === undefined) return ''
  const lines = Buffer.from(text, 'utf8').subarray(0, start).toString('utf8').split('\n')
  return `:${lines.length}:${(lines.at(-1) as string).length + 1}`
}
