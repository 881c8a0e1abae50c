import { readFileSync } from 'node:fs'
import { DCLinter } from 'dclint'
import { parse } from 'yaml'
import { configurationFile } from '../../src/files.js'

/** What of a compose file is looked at. */
export interface Compose {
  readonly services: Readonly<Record<string, ComposeService>>
  readonly networks: Readonly<Record<string, { readonly internal?: boolean } | null>>
  readonly volumes: Readonly<
    Record<string, { readonly driver_opts?: Readonly<Record<string, string>> } | null>
  >
}

export interface ComposeService {
  readonly image: string
  readonly build?: { readonly context: string; readonly dockerfile: string; readonly target: string }
  readonly command: readonly string[]
  readonly user?: string
  readonly read_only: boolean
  readonly cap_drop: readonly string[]
  readonly security_opt: readonly string[]
  readonly privileged?: boolean
  readonly cap_add?: readonly string[]
  readonly ports?: readonly string[]
  readonly volumes: readonly string[]
  readonly networks?: readonly string[]
  readonly network_mode?: string
  readonly environment?: Readonly<Record<string, string>>
  readonly healthcheck?: { readonly test: readonly string[] }
  readonly depends_on?: Readonly<Record<string, { readonly condition: string }>>
}

/** A file of `docker/`. */
export function composeOf(name: string): Compose {
  return parse(readFileSync(configurationFile(name), 'utf8'), { merge: true }) as Compose
}

/** The rules that a file breaks. Those on the order of keys and names are ours to choose. */
export function lint(file: string): string[] {
  const off = [
    'services-alphabetical-order',
    'service-keys-order',
    'top-level-properties-order',
    // The three services are one image.
    'no-build-and-image',
  ]
  const linter = new DCLinter({
    rules: {
      ...Object.fromEntries(off.map((rule) => [rule, 0])),
      'require-quotes-in-ports': [1, { quoteType: 'double' }],
    },
    quiet: false,
    debug: false,
    exclude: [],
  })
  const results: readonly { readonly messages: readonly { readonly rule: string }[] }[] = linter.lintFiles(
    [file],
    false,
  )
  return results.flatMap(({ messages }) => messages.map(({ rule }) => rule))
}
