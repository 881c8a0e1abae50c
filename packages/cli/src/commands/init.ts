import { userInfo } from 'node:os'
import { basename, join, resolve } from 'node:path'
import { oneOf } from '../arguments/choice.js'
import type { Options } from '../arguments/options.js'
import { UsageError } from '../arguments/usage-error.js'
import { type About, type Command, defineCommand, type Io } from '../command.js'
import { EXIT } from '../exit-code.js'
import { Asker } from '../init/ask.js'
import { type Choices, ENGINES, EXPORTERS, FRAMEWORKS, IDENTITIES } from '../init/choices.js'
import { filesOf } from '../init/files.js'
import { nextSteps } from '../init/next-steps.js'
import { put } from '../init/put.js'
import { visible } from '../terminal/escape.js'

const DAY_MS = 86_400_000
const OBSERVE_DAYS = 30
const MOST_DAYS = 90
const NAME = /^[a-z](?:[a-z0-9-]{0,38}[a-z0-9])?$/
/** Of a trust domain (SPIFFE ID §2.1). */
const DOMAIN = /^[a-z0-9._-]{1,255}$/
/** No package of Rego may be called so. */
const RESERVED =
  'as,contains,data,default,else,every,false,if,import,in,input,not,null,package,some,system,true,with'.split(
    ',',
  )

const OPTIONS = {
  framework: {
    type: 'string',
    value: 'NAME',
    choices: FRAMEWORKS,
    help: 'fastify (the default) or express.',
  },
  identity: {
    type: 'string',
    value: 'NAME',
    choices: IDENTITIES,
    help: 'spire (the default), or local: a key of the process, for development.',
  },
  engine: {
    type: 'string',
    value: 'NAME',
    choices: ENGINES,
    help: 'Who decides: opa (the default), rego or cedar within the process, or function.',
  },
  exporter: {
    type: 'string',
    value: 'NAME',
    choices: EXPORTERS,
    help: 'Where spans go: otlp (the default), to a Collector, or file.',
  },
  name: { type: 'string', value: 'NAME', help: 'Of the service; the name of the folder by default.' },
  'trust-domain': { type: 'string', value: 'NAME', help: 'Another than example.org.' },
  edge: { type: 'boolean', help: "Users' requests begin here. Without, requests bring lineage." },
  observe: {
    type: 'string',
    value: 'DAYS',
    help: `For how many days refusals are recorded instead of made: 30 by default, 90 at most; 0 enforces from the first
      request on.`,
  },
  approver: {
    type: 'string',
    value: 'WHO',
    help: 'Who says that refusals are only observed, which is signed into the record; you by default.',
  },
  force: { type: 'boolean', help: 'Replaces files that are there.' },
} as const satisfies Options

const ABOUT: About = {
  name: 'init',
  usage: ['[FOLDER] [options]'],
  about: `
Writes what a service begins with into a folder: a deployment file that observes for the
first days, a module that configures Kest, a policy with its test, what runs beside it for
docker compose, and a patch with the lines that the service needs, to look at. It edits no
code, and where a file is there already it writes nothing. On a terminal it asks for what no
option says; elsewhere, and where CI is set, defaults hold.`,
  arguments: 'files',
  examples: [
    'kest init orders --framework fastify --engine function --exporter file',
    'kest init gateway --framework express --identity local --engine cedar --exporter file --edge --observe 0',
  ],
  exitStatus: '0 it is written, 2 a file is there or cannot be written, or the command was used wrongly.',
}

type Asked = Pick<Choices, 'framework' | 'identity' | 'engine' | 'exporter'>

export const init: Command = defineCommand(ABOUT, OPTIONS, async ({ values, positionals }, io) => {
  const [folder = '.', ...others] = positionals
  if (others.length > 0) throw new UsageError(`one folder at a time: kest init ${folder}`)
  const stated = {
    name: nameOf(values.name, folder),
    trustDomain: trustDomainOf(values['trust-domain']),
    edge: values.edge ?? false,
    observe: observeOf(values.observe, values.approver),
  }
  const choices: Choices = { ...(await askedOf(values, io)), ...stated }
  const files = filesOf(choices)
  await put(files, folder, { force: values.force ?? false, io })
  await io.stdout.write(summaryOf(files, choices, folder))
  return EXIT.holds
})

async function askedOf(
  { framework, identity, engine, exporter }: { readonly [Name in keyof Asked]?: string },
  io: Io,
): Promise<Asked> {
  const isTerminal = (io.stdin as { readonly isTTY?: boolean }).isTTY === true && !process.env['CI']
  const given: { readonly [Name in keyof Asked]: Asked[Name] | undefined } = {
    framework: framework === undefined ? undefined : oneOf('framework', framework, FRAMEWORKS),
    identity: identity === undefined ? undefined : oneOf('identity', identity, IDENTITIES),
    engine: engine === undefined ? undefined : oneOf('engine', engine, ENGINES),
    exporter: exporter === undefined ? undefined : oneOf('exporter', exporter, EXPORTERS),
  }
  using asker = isTerminal ? new Asker(io) : null
  const ask = async <T extends string>(
    value: T | undefined,
    what: string,
    choices: readonly [T, ...T[]],
  ): Promise<T> => value ?? (await asker?.ask({ what, choices })) ?? choices[0]
  return {
    framework: await ask(given.framework, 'Which framework?', FRAMEWORKS),
    identity: await ask(given.identity, 'Whose identity?', IDENTITIES),
    engine: await ask(given.engine, 'Who decides?', ENGINES),
    exporter: await ask(given.exporter, 'Where do spans go?', EXPORTERS),
  }
}

/** Of the folder, where nobody says one. @throws {UsageError} */
function nameOf(stated: string | undefined, folder: string): string {
  const name = stated ?? basename(resolve(folder)).toLowerCase()
  if (NAME.test(name) && !RESERVED.includes(name)) return name
  const why = RESERVED.includes(name)
    ? 'Rego has that word for itself'
    : 'expected letters, digits and dashes, at most 40'
  throw new UsageError(`--name: ${why}, such as orders; got "${visible(name)}"`)
}

function trustDomainOf(stated = 'example.org'): string {
  if (DOMAIN.test(stated)) return stated
  throw new UsageError(`--trust-domain: expected a name such as example.org, got "${visible(stated)}"`)
}

function observeOf(days: string | undefined, approver: string | undefined): Choices['observe'] {
  const whole = days === undefined ? OBSERVE_DAYS : /^\d{1,2}$/.test(days) ? Number(days) : Number.NaN
  if (!(whole <= MOST_DAYS))
    throw new UsageError(`--observe: expected days from 0 to ${MOST_DAYS}, got "${days}"`)
  if (approver !== undefined && approver.trim() === '') throw new UsageError('--approver: expected who it is')
  if (whole === 0) return null
  // A minute less, so that 90 days are not more by the time that it is read.
  return {
    expires: new Date(Date.now() + whole * DAY_MS - 60_000),
    approver: approver ?? userName(),
  }
}

/** A container may run as a user whom nothing names. */
function userName(): string {
  try {
    return userInfo().username
  } catch {
    throw new UsageError('--approver: this user has no name; say who observes')
  }
}

function summaryOf(
  files: readonly { readonly path: string; readonly about: string }[],
  choices: Choices,
  folder: string,
): string {
  const width = Math.max(...files.map(({ path }) => path.length)) + 2
  const written = files.map(({ path, about }) => `  ${visible(path).padEnd(width)}${about}`)
  const compose = files.some(({ path }) => path === 'compose.kest.yaml')
  const steps = nextSteps(choices, compose).map((step) => `  ${step}`)
  return `Written to ${visible(join(folder, '.'))}:\n${written.join('\n')}\n\nThen, there:\n${steps.join('\n')}\n`
}
