import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse, parseAllDocuments } from 'yaml'
import { configurationFile } from '../../src/files.js'

export const MANIFESTS = configurationFile('../deploy/kubernetes')

export interface Manifest {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: { readonly name: string; readonly labels?: Readonly<Record<string, string>> }
  // biome-ignore lint/suspicious/noExplicitAny: kubernetes.once.test.ts says what it is
  readonly spec: any
}

/** A file of `docker/`. */
export function yaml(name: string) {
  return parse(readFileSync(configurationFile(name), 'utf8'), { merge: true })
}

export const kustomization = yaml('../deploy/kubernetes/kustomization.yaml')

/** What the base has, but for what it makes of files of `docker/`. */
export function readManifests(): readonly Manifest[] {
  return (kustomization.resources as readonly string[])
    .filter((name) => name.endsWith('.yaml'))
    .flatMap((name) =>
      parseAllDocuments(readFileSync(join(MANIFESTS, name), 'utf8')).map((document) => document.toJS()),
    )
}
