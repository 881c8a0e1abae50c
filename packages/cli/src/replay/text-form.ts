import { UsageError } from '../arguments/usage-error.js'

/** Where a text of policies is, as an option names it. */
export type TextForm =
  | { readonly kind: 'rego'; readonly file: string; readonly bundle?: string; readonly data?: string }
  | {
      readonly kind: 'cedar'
      readonly policies: readonly string[]
      readonly schemas: readonly string[]
      readonly entities?: string
    }

const NAMED = /^([^=/\\]+)=(.+)$/s

/**
 * `[BUNDLE=]FILE[,FILE…]`: a bundle or module of Rego that was compiled to WebAssembly, and perhaps its data (`.json`); or the files
 * of a Cedar set: `.cedar`, `.cedarschema`, and entities in a `.json`.
 *
 * @throws {UsageError} for files that make no text
 */
export function parseTextForm(option: string, text: string): TextForm {
  const [, bundle, named] = NAMED.exec(text) ?? []
  const files = (named ?? text).split(',')
  if (files.includes(''))
    throw new UsageError(`--${option}: expected files, separated by commas, got "${text}"`)
  const ending = (end: string): string[] => files.filter((file) => file.endsWith(end))
  const [policies, schemas, json] = [ending('.cedar'), ending('.cedarschema'), ending('.json')]
  const [first, second] = json
  if (second !== undefined) throw new UsageError(`--${option}: two files of JSON: ${json.join(' and ')}`)
  const isCedar = policies.length + schemas.length > 0
  const others = files.filter((file) => ![...policies, ...schemas, ...json].includes(file))
  if (isCedar) {
    if (policies.length === 0 || others.length > 0 || bundle !== undefined)
      throw new UsageError(
        `--${option}: expected .cedar files, .cedarschema files and one .json, got "${text}"`,
      )
    return { kind: 'cedar', policies, schemas, ...(first !== undefined && { entities: first }) }
  }
  const [file] = others
  if (file === undefined || others.length > 1)
    throw new UsageError(
      `--${option}: expected one bundle that \`opa build -t wasm\` wrote, its .wasm, or .cedar files, got "${text}"`,
    )
  return {
    kind: 'rego',
    file,
    ...(bundle !== undefined && { bundle }),
    ...(first !== undefined && { data: first }),
  }
}

/** Files that it is made of. */
export function filesOf(form: TextForm): readonly string[] {
  if (form.kind === 'rego') return form.data === undefined ? [form.file] : [form.file, form.data]
  const { policies, schemas, entities } = form
  return [...policies, ...schemas, ...(entities === undefined ? [] : [entities])]
}
