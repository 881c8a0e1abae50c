import type { Command } from '../command.js'

/** One of all commands: what its list says of it, and where it is. It is loaded once it is called, with what it needs alone. */
export interface ListedCommand {
  readonly name: string
  /** A few words. */
  readonly summary: string
  load(): Promise<Command>
}

/** In the order of the help. */
export const COMMANDS: readonly ListedCommand[] = [
  {
    name: 'verify',
    summary: 'check evidence files, offline',
    load: async () => (await import('./verify.js')).verify,
  },
  {
    name: 'show',
    summary: 'show what a passport says, without verifying it',
    load: async () => (await import('./show.js')).show,
  },
  {
    name: 'audit',
    summary: 'prove lineage from exported spans',
    load: async () => (await import('./audit.js')).audit,
  },
  {
    name: 'evidence',
    summary: 'take the lineage of a trace out of exported spans',
    load: async () => (await import('./evidence.js')).evidence,
  },
  {
    name: 'graph',
    summary: 'draw the lineage of a trace',
    load: async () => (await import('./graph.js')).graph,
  },
  {
    name: 'replay',
    summary: 'ask a new text of policies what it would have denied',
    load: async () => (await import('./replay.js')).replay,
  },
  {
    name: 'init',
    summary: 'write what a service begins with',
    load: async () => (await import('./init.js')).init,
  },
  {
    name: 'deploy',
    summary: 'check a deployment file before it is deployed',
    load: async () => (await import('./deploy.js')).deploy,
  },
  {
    name: 'dev',
    summary: 'run services in development, with an authority for their identities',
    load: async () => (await import('./dev.js')).dev,
  },
  {
    name: 'doctor',
    summary: 'say what a service lacks, before traffic does',
    load: async () => (await import('./doctor.js')).doctor,
  },
  {
    name: 'policies',
    summary: 'write what lets OPA decide all policies of an operation at once',
    load: async () => (await import('./policies.js')).policies,
  },
  {
    name: 'completion',
    summary: 'write what a shell needs to complete commands and options',
    load: async () => (await import('./completion.js')).completionOf(COMMANDS),
  },
]
