import { join } from 'node:path'
import { packageFolders, packageManagerEnv, readJson, root } from '../../scripts/workspace.mjs'
import { run } from './run.js'

export interface Manifest {
  readonly name: string
  readonly version: string
  readonly private?: boolean
  readonly bin?: Readonly<Record<string, string>>
  readonly exports: Readonly<Record<string, unknown>>
  readonly peerDependencies?: Readonly<Record<string, string>>
}

/** A package of this tree as it is published. */
export interface PackedPackage {
  /** Relative to the root. */
  readonly folder: string
  readonly manifest: Manifest
  /** As one imports it: `@kest/core`, `@kest/core/testing`, … */
  readonly specifiers: readonly string[]
  /** Where `pack` has put it. */
  readonly tarball: string
}

/** All that are published, whose tarballs are to be in a folder. */
export function packagesIn(destination: string): PackedPackage[] {
  return packageFolders()
    .map((folder) => ({ folder, manifest: readJson(join(root, folder, 'package.json')) as Manifest }))
    .filter(({ manifest }) => manifest.private !== true)
    .map(({ folder, manifest }) => ({
      folder,
      manifest,
      specifiers: specifiersOf(manifest),
      tarball: join(destination, `${manifest.name.slice(1).replace('/', '-')}.tgz`),
    }))
}

/** Packs them, by one package manager for all: to start it takes longer than to pack. */
export async function pack(packages: readonly PackedPackage[], destination: string): Promise<void> {
  const filters = packages.flatMap(({ manifest }) => ['--filter', manifest.name])
  await pnpm(root, ...filters, 'pack', '--out', join(destination, '%s.tgz'))
}

/** The package manager of this tree, in the version that it names. */
export async function pnpm(cwd: string, ...args: string[]): Promise<void> {
  const { packageManager } = readJson(join(root, 'package.json')) as { packageManager: string }
  await run('npx', ['-y', packageManager, ...args], cwd, packageManagerEnv())
}

function specifiersOf({ name, exports }: Manifest): string[] {
  return Object.entries(exports)
    .filter(([, target]) => typeof target !== 'string')
    .map(([path]) => join(name, path))
}
