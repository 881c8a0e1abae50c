import { type ParseArgsConfig, parseArgs } from 'node:util'
import { suggestion } from './suggest.js'
import { UsageError } from './usage-error.js'

type Options = NonNullable<ParseArgsConfig['options']>
type Parsed<T extends Options> = ReturnType<typeof parseArgs<{ options: T; allowPositionals: true }>>

/**
 * Reads the arguments of a command.
 *
 * @throws {UsageError} for an option that does not exist, lacks its value or has one it does not take, or that is given
 *   twice: of two values one would be ignored
 */
export function parseArguments<const T extends Options>(argv: readonly string[], options: T): Parsed<T> {
  assertKnownOnce(argv, options)
  try {
    return parseArgs({ args: [...argv], options, allowPositionals: true, strict: true })
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException
    if (code?.startsWith('ERR_PARSE_ARGS_')) throw new UsageError(message, { cause })
    throw cause
  }
}

function assertKnownOnce(argv: readonly string[], options: Options): void {
  const { tokens } = parseArgs({
    args: [...argv],
    options,
    allowPositionals: true,
    strict: false,
    tokens: true,
  })
  const names = Object.keys(options).map((name) => `--${name}`)
  const seen = new Set<string>()
  for (const token of tokens) {
    if (token.kind !== 'option') continue
    const { name, rawName } = token
    if (!Object.hasOwn(options, name)) {
      throw new UsageError(`unknown option ${rawName}${suggestion(rawName, names)}`)
    }
    if (seen.has(name) && options[name]?.multiple !== true) throw new UsageError(`--${name} is given twice`)
    seen.add(name)
  }
}
