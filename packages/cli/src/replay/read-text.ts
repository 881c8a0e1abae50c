import { KestError, type ReplayText } from '@kest/core'
import { InputError } from '../files/input-error.js'
import { parseTextForm, type TextForm } from './text-form.js'

/** What is said of an option that names a text of policies. */
export const TEXT_HELP = `A bundle that "opa build -t wasm" wrote, or the policy.wasm in it, with its entry points; data beside it behind a
      comma, as FILE,data.json. It stands for what decided by the same module and data in process; and, by the revision in its
      manifest (opa build --revision), for what an OPA decided by a bundle with that revision, of any name unless BUNDLE= is put
      before it. Or Cedar: a.cedar,b.cedar, with .cedarschema and entities as .json, in the order in which the engine has them
      (needs @kest/cedar).`

/**
 * The texts that an option names, ready to be asked.
 *
 * @throws {UsageError} for files that make no text
 * @throws {InputError} for one that cannot be read, or not be asked
 */
export async function readTexts(option: string, values: readonly string[]): Promise<ReplayText[]> {
  const texts: ReplayText[] = []
  for (const form of values.map((value) => parseTextForm(option, value))) {
    try {
      texts.push(form.kind === 'rego' ? await readRego(form) : await readCedar(form))
    } catch (error) {
      if (error instanceof KestError) throw new InputError(`--${option}: ${error.message}`, { cause: error })
      throw error
    }
  }
  return texts
}

async function readRego({
  kind: _,
  file,
  ...options
}: Extract<TextForm, { kind: 'rego' }>): Promise<ReplayText> {
  const { RegoReplay } = await import('@kest/opa')
  return await RegoReplay.load(file, options)
}

async function readCedar({
  policies,
  schemas,
  entities,
}: Extract<TextForm, { kind: 'cedar' }>): Promise<ReplayText> {
  const { CedarReplay } = await import('@kest/cedar').catch((cause: unknown) => {
    throw new InputError('policies in Cedar need @kest/cedar beside @kest/cli: npm install @kest/cedar', {
      cause,
    })
  })
  const filesOf = (list: readonly string[]) => list.map((file) => ({ file }))
  return await CedarReplay.load(
    {
      policies: filesOf(policies),
      ...(schemas.length > 0 && { schema: filesOf(schemas) }),
      ...(entities !== undefined && { entities: { file: entities } }),
    },
    policies.join(','),
  )
}
