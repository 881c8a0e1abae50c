import { types } from 'node:util'
import {
  assertOptions,
  type Clock,
  type JsonObject,
  KestConfigError,
  type Logger,
  stderrLogger,
  systemClock,
} from '@kest/core'
import { createPathOf, type PolicyPaths } from '../decision/policy-paths.js'
import { createDecisionReader, type DecisionReader } from '../decision/read-decision.js'
import { LONGEST_MS, toInteger } from '../options.js'
import { FIXED_BUILTINS } from './compiled-policy.js'
import type { AskedAs } from './revision.js'
import type { Builtin } from './time-builtins.js'

export interface RegoWasmOptions {
  /**
   * Data documents, beside those of the bundle and over them: an object, or the path of a JSON file. They are what
   * policies see as `data`.
   */
  readonly data?: JsonObject | string | URL
  /** Entry points by the name of the policy. Default: the name itself, so that `orders/read` is `data.orders.read`. */
  readonly paths?: PolicyPaths
  /** Where the decision lies in a policy's document. Default: the document is a boolean, or has a boolean `allow`. */
  readonly decisionPath?: string
  /** How often to look whether the files have changed, milliseconds; 0 for never. Default 5000; 0 for bytes. */
  readonly reloadMs?: number
  /** Beyond it a decision fails. Default 67,108,864. */
  readonly maxMemoryBytes?: number
  /**
   * Functions of Rego that the policies call and that neither they nor this engine have. `regex.split`, `yaml.is_valid` and
   * `yaml.unmarshal` cannot be had: give a function of another name, and declare it to `opa build --capabilities`.
   */
  readonly builtins?: Readonly<Record<string, Builtin>>
  readonly logger?: Logger
  /** What time policies are told it is. */
  readonly clock?: Clock
}

/** Options as they hold. */
export interface ResolvedRegoWasmOptions {
  readonly data: JsonObject
  readonly dataFile: string | URL | null
  readonly pathOf: (policy: string) => string
  readonly read: DecisionReader
  readonly reloadMs: number
  readonly maxMemoryBytes: number
  readonly builtins: Readonly<Record<string, Builtin>>
  readonly logger: Logger
  readonly clock: Clock
  /** Those that `paths` names. */
  readonly required: readonly string[]
  /** As which the policies are asked. */
  readonly askedAs: AskedAs
}

const WHERE = 'RegoWasmEngine'
const KNOWN = ['data', 'paths', 'decisionPath', 'reloadMs', 'maxMemoryBytes', 'builtins', 'logger', 'clock']
const RELOAD_MS = 5_000
const MEMORY_BYTES = 64 * 1024 * 1024
const LEAST_MEMORY_BYTES = 5 * 65_536 * 16
const MOST_MEMORY_BYTES = 65_536 * 65_536

/** @throws {KestConfigError} */
export function resolveOptions(
  options: RegoWasmOptions,
  source: string | URL | Uint8Array,
): ResolvedRegoWasmOptions {
  assertOptions(WHERE, options, KNOWN)
  const {
    data = {},
    paths,
    decisionPath,
    builtins = {},
    logger = stderrLogger,
    clock = systemClock,
  } = options
  const isFile = typeof data === 'string' || data instanceof URL
  if (!isFile && (typeof data !== 'object' || data === null || Array.isArray(data))) {
    throw new KestConfigError(`${WHERE}.data: expected an object, or the path of a JSON file`)
  }
  for (const [name, builtin] of Object.entries(builtins)) {
    if (typeof builtin !== 'function') throw new KestConfigError(`${WHERE}.builtins: ${name} is no function`)
    if (FIXED_BUILTINS.includes(name)) throw new KestConfigError(`${WHERE}.builtins: ${name} cannot be given`)
  }
  const files = isFile || !types.isUint8Array(source)
  const { reloadMs = files ? RELOAD_MS : 0, maxMemoryBytes = MEMORY_BYTES } = options
  if (reloadMs !== 0 && !files) {
    throw new KestConfigError(`${WHERE}.reloadMs: neither policies nor data are a file that could change`)
  }
  return {
    data: isFile ? {} : data,
    dataFile: isFile ? data : null,
    pathOf: createPathOf(WHERE, paths),
    read: createDecisionReader(WHERE, decisionPath),
    reloadMs: toInteger(`${WHERE}.reloadMs`, reloadMs, 0, LONGEST_MS),
    maxMemoryBytes: toInteger(
      `${WHERE}.maxMemoryBytes`,
      maxMemoryBytes,
      LEAST_MEMORY_BYTES,
      MOST_MEMORY_BYTES,
    ),
    builtins,
    logger,
    clock,
    required: typeof paths === 'object' ? Object.keys(paths) : [],
    askedAs: {
      paths: typeof paths === 'function' ? 'function' : { ...paths },
      decisionPath: decisionPath ?? '',
      builtins: Object.keys(builtins),
    },
  }
}
