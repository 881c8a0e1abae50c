import { dirname, isAbsolute, join } from 'node:path'
import { KestError } from '@kest/core'
import type { FleetOptions, KafkaOptions } from '@kest/fleet'
import { oneOf } from '../arguments/choice.js'
import { listOf } from '../arguments/list.js'
import { UsageError } from '../arguments/usage-error.js'
import type { Io } from '../command.js'
import { InputError } from '../files/input-error.js'
import { readText } from '../files/read.js'
import { parseCount, type SETTLING_OPTIONS, settlingOf } from './settling-options.js'

const FORMATS = ['otlp_proto', 'otlp_json'] as const
const STAGES = ['split', 'judge', 'sequences', 'roster'] as const

/** Options of an audit that runs on Kafka. */
export const KAFKA_OPTIONS = {
  kafka: {
    type: 'string',
    value: 'BROKERS',
    help: `HOST:PORT of some brokers, separated by commas: judges what the Collector's kafka exporter writes, as it comes, beside others
      with the same --group, until SIGINT or SIGTERM. With --html, makes a page of the verdicts that are there, and ends.`,
  },
  topic: { type: 'string', value: 'NAME', help: 'Where the Collector writes; otlp_spans by default.' },
  prefix: {
    type: 'string',
    value: 'NAME',
    help: `Begins the names of the topics that are written, or read for --html: PREFIX-entries, -verdicts, -verdict-log, -facts,
      -state and -findings; kest by default.`,
  },
  group: {
    type: 'string',
    value: 'NAME',
    help: 'Begins the names of the consumer groups; kest-audit by default.',
  },
  format: {
    type: 'string',
    value: 'FORMAT',
    choices: FORMATS,
    help: 'How the Collector writes: otlp_proto or otlp_json; without, each record as it begins.',
  },
  stages: {
    type: 'string',
    value: 'LIST',
    help: 'What this process does: split, judge, sequences and, beside --roster, roster, separated by commas; all of it by default.',
  },
  'kafka-security': {
    type: 'string',
    value: 'FILE',
    choices: 'file',
    help: `JSON: {"tls": {"ca": FILE, "cert": FILE, "key": FILE, "servername": NAME}, "sasl": {"mechanism": "SCRAM-SHA-512",
      "username": NAME, "password_file": FILE}}, each member if needed; files are found from where it lies.`,
  },
  'create-topics': {
    type: 'string',
    value: 'PARTITIONS',
    help: 'Makes the topics that are written, those that are not there, with so many partitions.',
  },
} as const

type Values = { readonly [Name in keyof typeof KAFKA_OPTIONS | keyof typeof SETTLING_OPTIONS]?: string }

/** What was asked for of Kafka. */
export interface Asked {
  readonly kafka: KafkaOptions
  readonly fleet: Omit<FleetOptions, 'kafka' | 'judge'>
  /** Partitions of the topics that are made; `null` when none are. */
  readonly partitions: number | null
  /** Files that were read for it. */
  readonly inputs: readonly string[]
}

/**
 * @returns `null` without `--kafka`
 * @throws {UsageError} for options that make no sense
 * @throws {InputError} for a file that cannot be used
 */
export async function readKafkaOptions(values: Values, io: Io): Promise<Asked | null> {
  const { kafka, topic, prefix, group, format, stages } = values
  if (kafka === undefined) {
    const alone = Object.keys(KAFKA_OPTIONS).find((name) => values[name as keyof Values] !== undefined)
    if (alone !== undefined) throw new UsageError(`--${alone} is for --kafka`)
    return null
  }
  const brokers = listOf(kafka)
  const { inputs, ...security } = await readSecurity(values['kafka-security'], io)
  const partitions = values['create-topics']
  return {
    kafka: { brokers, ...security },
    fleet: {
      ...(topic === undefined ? {} : { topic }),
      ...(prefix === undefined ? {} : { prefix }),
      ...(group === undefined ? {} : { group }),
      ...(format === undefined
        ? {}
        : { encoding: oneOf('format', format, FORMATS) === 'otlp_json' ? 'json' : 'protobuf' }),
      ...(stages === undefined ? {} : { stages: listOf(stages).map((one) => oneOf('stages', one, STAGES)) }),
      settling: settlingOf(values),
    },
    partitions: partitions === undefined ? null : parseCount('create-topics', partitions),
    inputs,
  }
}

type Security = Pick<KafkaOptions, 'tls' | 'sasl'>

async function readSecurity(
  path: string | undefined,
  { stdin }: Io,
): Promise<Security & { readonly inputs: readonly string[] }> {
  const inputs: string[] = []
  if (path === undefined) return { inputs }
  const read = async (file: string): Promise<string> => {
    inputs.push(file)
    try {
      return await readText(file, stdin)
    } catch (cause) {
      if (!(cause instanceof KestError)) throw cause
      throw new InputError(`--kafka-security: ${file}: ${cause.message}`, { cause })
    }
  }
  const near = (file: string): string => (isAbsolute(file) ? file : join(dirname(path), file))
  const { tls, sasl } = membersOf(parse(await read(path), path), ['tls', 'sasl'], path)
  const result: { -readonly [Name in keyof Security]: Security[Name] } = {}
  if (tls !== undefined) {
    const { servername, ...files } = textsOf(tls, ['ca', 'cert', 'key', 'servername'], path)
    const texts = Object.entries(files).map(async ([name, file]) => [name, await read(near(file))] as const)
    result.tls = {
      ...Object.fromEntries(await Promise.all(texts)),
      ...(servername === undefined ? {} : { servername }),
    }
  }
  if (sasl !== undefined) {
    const {
      mechanism,
      username,
      password_file: file,
    } = textsOf(sasl, ['mechanism', 'username', 'password_file'], path)
    if (mechanism === undefined || username === undefined || file === undefined)
      throw new InputError(`--kafka-security ${path}: sasl: expected mechanism, username and password_file`)
    const password = (await read(near(file))).replace(/\r?\n$/, '')
    result.sasl = { mechanism: mechanism as 'PLAIN', username, password }
  }
  return { ...result, inputs }
}

function parse(text: string, path: string): unknown {
  try {
    return JSON.parse(text)
  } catch (cause) {
    // The message of JSON.parse has some of the text, which is about secrets.
    throw new InputError(`--kafka-security ${path}: it is not JSON`, { cause })
  }
}

function membersOf<const T extends string>(
  value: unknown,
  known: readonly T[],
  path: string,
): { readonly [Name in T]?: unknown } {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new InputError(`--kafka-security ${path}: expected an object`)
  for (const name of Object.keys(value)) {
    if (!known.includes(name as T))
      throw new InputError(`--kafka-security ${path}: unknown "${name}"; there are: ${known.join(', ')}`)
  }
  return value
}

function textsOf<const T extends string>(
  value: unknown,
  known: readonly T[],
  path: string,
): { readonly [Name in T]?: string } {
  const members = membersOf(value, known, path)
  for (const [name, text] of Object.entries(members)) {
    if (typeof text !== 'string') throw new InputError(`--kafka-security ${path}: ${name}: expected a text`)
  }
  return members as { readonly [Name in T]?: string }
}
