import { execFile } from 'node:child_process'
import { mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { configurationFile } from '../src/files.js'
import { type Manifest, readKafkaManifests, readManifests } from './support/manifests.js'

// A ClusterSPIFFEID is SPIRE's own.
const manifests = [...readManifests(), ...readKafkaManifests()].filter(
  ({ kind }) => kind !== 'ClusterSPIFFEID',
)

/** By the types of Kubernetes' API, which are made of its OpenAPI: what they know no member for is an error, at any depth. */
it('deploy/kubernetes is what the API of Kubernetes takes, and a member that is misspelt is not', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'kest-manifests-'))
  onTestFinished(() => rm(folder, { recursive: true }))
  await symlink(configurationFile('../lab/node_modules'), join(folder, 'node_modules'))
  await writeFile(join(folder, 'package.json'), '{ "type": "module" }')
  const misspelt = misspellings(manifests)
  expect(misspelt.length).toBeGreaterThan(100)
  await writeFile(join(folder, 'manifests.ts'), typed(manifests))
  await writeFile(join(folder, 'misspelt.ts'), typed(misspelt))

  const tsc = configurationFile('../node_modules/typescript/bin/tsc')
  const args = [tsc, '--noEmit', '--strict', '--skipLibCheck', '--module', 'nodenext', '--pretty', 'false']
  const output = await new Promise<string>((resolve) =>
    execFile(
      process.execPath,
      [...args, 'manifests.ts', 'misspelt.ts'],
      { cwd: folder, maxBuffer: 1 << 26 },
      (_, out) => resolve(out),
    ),
  )
  const refused = [...output.matchAll(/^(\w+\.ts)\((\d+),\d+\): error TS/gm)].map(
    ([, file, line]) => `${file} ${line}`,
  )
  expect(refused.filter((at) => at.startsWith('manifests.ts'))).toEqual([])
  expect([...new Set(refused)].sort(), output.slice(0, 2_000)).toEqual(
    misspelt.map((_, i) => `misspelt.ts ${i + 1}`).sort(),
  )
}, 120_000)

/** One a line. */
function typed(all: readonly Manifest[]): string {
  return all
    .map(
      (one, i) =>
        `export const _${i}: import('kubernetes-models/${one.apiVersion}').I${one.kind} = ${JSON.stringify(one)}\n`,
    )
    .join('')
}

/** Whose members' names are whoever's writes them. */
const FREE = new Set(['labels', 'limits', 'matchLabels', 'requests', 'selector'])

/** Each time another member is misspelt, of every path that there is in a kind. */
function misspellings(all: readonly Manifest[]): readonly Manifest[] {
  const misspelt = new Map<string, Manifest>()
  const visit = (path: string, value: unknown, put: (changed: unknown) => unknown): void => {
    if (Array.isArray(value)) {
      for (const [i, member] of value.entries()) visit(path, member, (changed) => put(value.with(i, changed)))
    } else if (typeof value === 'object' && value !== null) {
      for (const [name, member] of Object.entries(value)) {
        const { [name]: _, ...others } = value as Record<string, unknown>
        misspelt.set(`${path}.${name}`, put({ ...others, [`${name}x`]: member }) as Manifest)
        if (!FREE.has(name) || !isFlat(member))
          visit(`${path}.${name}`, member, (changed) => put({ ...others, [name]: changed }))
      }
    }
  }
  for (const manifest of all) visit(manifest.kind, manifest, (changed) => changed)
  return [...misspelt.values()]
}

/** Of a StatefulSet a `selector` has members, of a Service it has labels. */
function isFlat(value: unknown): boolean {
  return Object.values(value as object).every((member) => typeof member !== 'object')
}
