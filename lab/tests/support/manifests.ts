import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse, parseAllDocuments } from 'yaml'
import { configurationFile } from '../../src/files.js'

export const MANIFESTS = configurationFile('../deploy/kubernetes')
/** What lies over them; not within, which kustomize takes for a cycle. */
export const KAFKA_MANIFESTS = configurationFile('../deploy/kubernetes-kafka')

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

/** What lies over the base where a fleet is audited on Kafka. */
export const kafkaKustomization = yaml('../deploy/kubernetes-kafka/kustomization.yaml')

/** What the base has, but for what it makes of files of `docker/`. */
export function readManifests(): readonly Manifest[] {
  return manifestsOf(kustomization, MANIFESTS)
}

/** The same of what lies over it, with those of the base that it changes. */
export function readKafkaManifests(): readonly Manifest[] {
  const folder = KAFKA_MANIFESTS
  const [{ path, target }, ...more] = kafkaKustomization.patches
  const found = readManifests().find(
    ({ kind, metadata }) => kind === target.kind && metadata.name === target.name,
  )
  if (found === undefined || more.length > 0) throw new Error(`there is no ${target.kind} ${target.name}`)
  return [
    ...manifestsOf(kafkaKustomization, folder),
    patched(found, parse(readFileSync(join(folder, path), 'utf8'))),
  ]
}

function manifestsOf({ resources }: { resources: readonly string[] }, folder: string): readonly Manifest[] {
  return resources
    .filter((name) => name.endsWith('.yaml'))
    .flatMap((name) =>
      parseAllDocuments(readFileSync(join(folder, name), 'utf8')).map((document) => document.toJS()),
    )
}

interface Change {
  readonly op: string
  readonly path: string
  readonly value: unknown
}

/** As RFC 6902 has it, where something is replaced, or added at the end of a list. */
function patched(manifest: Manifest, changes: readonly Change[]): Manifest {
  const copy = structuredClone(manifest)
  for (const { op, path, value } of changes) {
    const names = path.split('/').slice(1)
    const last = names.pop() as string
    // biome-ignore lint/suspicious/noExplicitAny: of any shape
    const at = names.reduce((one: any, name) => one[name], copy)
    if (op === 'replace' && at[last] !== undefined) at[last] = value
    else if (op === 'add' && last === '-' && Array.isArray(at)) at.push(value)
    else throw new Error(`${op} ${path}: it is not there`)
  }
  return copy
}
