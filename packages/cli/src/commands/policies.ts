import { type KestError, policyCombinations } from '@kest/core'
import { type Combination, policyPlans } from '@kest/opa/plans'
import { listOf } from '../arguments/list.js'
import type { Options } from '../arguments/options.js'
import { UsageError } from '../arguments/usage-error.js'
import { type About, type Command, defineCommand, type Io } from '../command.js'
import { EXIT, type ExitCode } from '../exit-code.js'
import { InputError } from '../files/input-error.js'
import { readText, STDIN } from '../files/read.js'
import { assertNoInput, writeResult } from '../files/write.js'

const OPTIONS = {
  config: {
    type: 'string',
    value: 'FILE',
    choices: 'file',
    help: 'The deployment file, as KEST_CONFIG names it to services. Without it there are no tiers but that of operations.',
  },
  policies: {
    type: 'string',
    multiple: true,
    value: 'NAMES',
    help: 'Policies of one operation of its own, separated by commas, in their order. Once for each operation.',
  },
  combinations: {
    type: 'string',
    multiple: true,
    value: 'FILE',
    choices: 'file',
    help: 'JSON, a list of what is asked together, as engine.plans() says it in a service. "-" is standard input.',
  },
  output: {
    type: 'string',
    short: 'o',
    value: 'FILE',
    choices: 'file',
    help: 'Where the plans are written. Default standard output.',
  },
  check: {
    type: 'boolean',
    help: 'Writes nothing; fails where FILE is not what would be written.',
  },
} as const satisfies Options

const ABOUT: About = {
  name: 'policies',
  usage: ['plan [options]'],
  about: `
Writes a file of Rego that joins the policies which are asked together, for an OPA to load
beside them. A service with the option plans of OPAPolicyEngine then asks one question for each
operation. It is made of the names of policies alone, and decides nothing by itself.`,
  arguments: ['plan'],
  examples: [
    'kest policies plan --config kest.yaml --policies orders/read -o kest_plans.rego',
    'kest policies plan --config kest.yaml --policies orders/read -o kest_plans.rego --check   # in CI',
    'kest policies plan --policies orders/read --policies pay/own,pay/limit',
  ],
  exitStatus: `0 it is written, or is what would be written, 1 it is stale or missing, 2 an
input cannot be read or the command was used wrongly.`,
}

export const policies: Command = defineCommand(ABOUT, OPTIONS, async ({ values, positionals }, io) => {
  const [what, ...others] = positionals
  if (what !== 'plan' || others.length > 0) throw new UsageError('what of policies? kest policies plan')
  const { config, policies: lists = [], combinations = [], output, check = false } = values
  if (lists.length + combinations.length === 0)
    throw new UsageError('of which policies? --policies orders/read, once for each operation')
  if (lists.some((list) => listOf(list).length === 0))
    throw new UsageError('--policies: expected names of policies, separated by commas')
  if (check && (output === undefined || output === STDIN))
    throw new UsageError('--check: of which file? -o kest_plans.rego')
  await assertNoInput(output, [...(config === undefined ? [] : [config]), ...combinations])
  const text = await plansOf({ config, lists, combinations }, io)
  if (check) return await compare(text, output as string, io)
  await writeResult(text, output, io)
  return EXIT.holds
})

interface Inputs {
  readonly config: string | undefined
  readonly lists: readonly string[]
  readonly combinations: readonly string[]
}

/** @throws {UsageError} for what no plan can be made of; {InputError} for what cannot be read */
async function plansOf({ config, lists, combinations }: Inputs, io: Io): Promise<string> {
  const found: Combination[] = []
  for (const file of combinations) found.push(...(await readCombinations(file, io)))
  const deployment =
    config === undefined ? {} : { deployment: { text: await read(config, io), file: config } }
  try {
    const own = lists.map(listOf)
    return policyPlans([...policyCombinations({ ...deployment, policies: own }), ...found])
  } catch (error) {
    throw new InputError((error as KestError).message, { cause: error })
  }
}

async function readCombinations(file: string, io: Io): Promise<readonly Combination[]> {
  const text = await read(file, io)
  try {
    const list: unknown = JSON.parse(text)
    if (Array.isArray(list)) return list.map(combinationOf)
  } catch (cause) {
    throw new InputError(`${file}: it is no JSON`, { cause })
  }
  throw new InputError(`${file}: expected a list, as engine.plans() says it`)
}

/** As `engine.plans()` says it, or bare; whether it holds is looked at where plans are made. */
function combinationOf(item: unknown): Combination {
  const bare = typeof item === 'object' && item !== null && !Array.isArray(item) && 'combination' in item
  return (bare ? item.combination : item) as Combination
}

async function compare(text: string, file: string, io: Io): Promise<ExitCode> {
  const found = await read(file, io).catch((error: InputError) => {
    if (isMissing(error)) return null
    throw error
  })
  if (found === text) return EXIT.holds
  const state = found === null ? 'it is not there' : 'it is stale'
  await io.stderr.write(`${file}: ${state}; write it anew, with the same options without --check\n`)
  return EXIT.fails
}

/** @throws {InputError} that names the file */
async function read(file: string, { stdin }: Io): Promise<string> {
  try {
    return await readText(file, stdin)
  } catch (cause) {
    throw new InputError(`${file}: ${(cause as Error).message}`, { cause })
  }
}

function isMissing({ cause }: InputError): boolean {
  return ((cause as KestError).cause as NodeJS.ErrnoException | undefined)?.code === 'ENOENT'
}
