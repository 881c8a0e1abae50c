import { inject } from 'vitest'
import { type Program, run, start } from './program.js'

/** What `live/go/fetch.go` prints. Certificates are DER in base64. */
export interface Fetched {
  readonly x509Svids: readonly {
    readonly id: string
    readonly hint: string
    readonly serial: string
    readonly algorithm: string
    readonly chain: readonly string[]
  }[]
  readonly x509Bundles: Readonly<Record<string, readonly string[]>>
  readonly jwtSvid: { readonly id: string; readonly audience: readonly string[]; readonly token: string }
  readonly jwtBundles: Readonly<Record<string, readonly string[]>>
}

/** What `live/go/verify.go` answers about a chain. */
export type Verdict = { readonly id: string } | { readonly error: string }

/** Runs a subcommand of the Go program to its end. */
export function runGo<T>(command: string, args: Flags = {}, input?: unknown): Promise<T> {
  return run<T>(inject('goProgram'), [command, ...flagsOf(args)], input)
}

/** Starts a subcommand that goes on until it is stopped. */
export function startGo(command: string, args: Flags = {}): Program {
  return start(inject('goProgram'), [command, ...flagsOf(args)])
}

type Flags = Readonly<Record<string, string | undefined>>

function flagsOf(flags: Flags): string[] {
  return Object.entries(flags).flatMap(([name, value]) => (value === undefined ? [] : [`-${name}`, value]))
}
