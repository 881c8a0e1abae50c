import { parseArgs } from 'node:util'
import type { Option, Options } from './options.js'
import { suggestion } from './suggest.js'
import { UnknownOption, UsageError } from './usage-error.js'

type Parsed<T extends Options> = ReturnType<typeof parseArgs<{ options: T; allowPositionals: true }>>

interface OptionToken {
  readonly name: string
  /** As it was written: `--name` or `-n`. */
  readonly rawName: string
  readonly index: number
  readonly value?: string | undefined
  readonly inlineValue?: boolean | undefined
}

/**
 * Reads the arguments of a command.
 *
 * @throws {UsageError} for an option that does not exist, lacks its value or has one it does not take, or that is given
 *   twice: of two values one would be ignored
 */
export function parseArguments<const T extends Options>(argv: readonly string[], options: T): Parsed<T> {
  const config = { args: [...argv], options, allowPositionals: true } as const
  const { tokens } = parseArgs({ ...config, strict: false, tokens: true })
  const seen = new Set<string>()
  for (const token of tokens) {
    if (token.kind !== 'option') continue
    const option = Object.hasOwn(options, token.name) ? options[token.name] : undefined
    if (option === undefined) throw unknownOption(argv, token, options)
    assertValue(token, option)
    if (seen.has(token.name) && option.multiple !== true)
      throw new UsageError(`--${token.name} is given twice`)
    seen.add(token.name)
  }
  return parseArgs({ ...config, strict: true })
}

/** @throws {UsageError} that says what to write */
function assertValue({ name, value, inlineValue }: OptionToken, option: Option): void {
  if (option.type === 'boolean') {
    if (value !== undefined) throw new UsageError(`--${name} takes no value, got "${value}"`)
    return
  }
  const expected = option.value ?? 'a value'
  if (value === undefined) throw new UsageError(`--${name}: expected ${expected} after it`)
  // What begins with a dash is another option, as it seems; "-" alone is standard input.
  if (inlineValue === false && /^-./.test(value))
    throw new UsageError(
      `--${name}: expected ${expected}, got "${value}"; if that is meant, --${name}=${value}`,
    )
}

function unknownOption(
  argv: readonly string[],
  { rawName, index }: OptionToken,
  options: Options,
): UnknownOption {
  const names = Object.keys(options).map((name) => `--${name}`)
  // Of one dash each letter is an option by itself: who wrote a word meant two.
  const word = /^-[a-z]{2}[^=]*/.exec(argv[index] ?? '')?.[0]
  return word === undefined
    ? new UnknownOption(rawName, suggestion(rawName, names))
    : new UnknownOption(word, suggestion(`-${word}`, names))
}
