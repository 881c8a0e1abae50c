import { existsSync } from 'node:fs'
import { copyFile, mkdir, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { readJson, root } from '../../scripts/workspace.mjs'
import { type PackedPackage, pnpm } from './packed.js'

/**
 * Installs an empty project that depends on the tarballs and on the peers they ask for, in the versions that are tested here.
 * Its sources are each package's `tests/consumer.ts`, or a bare import where there is none; `tsconfig.nodenext.json` and
 * `tsconfig.bundler.json` are of them.
 */
export async function installConsumer(consumer: string, packages: readonly PackedPackage[]): Promise<void> {
  await mkdir(consumer)
  await writeFile(join(consumer, 'package.json'), JSON.stringify(manifestOf(packages)))
  for (const { folder, specifiers } of packages.filter((one) => one.specifiers.length > 0)) {
    const own = join(root, folder, 'tests/consumer.ts')
    const target = join(consumer, `${basename(folder)}.ts`)
    if (existsSync(own)) await copyFile(own, target)
    else await writeFile(target, specifiers.map((specifier) => `import '${specifier}'\n`).join(''))
  }

  const common = { target: 'es2022', strict: true, noEmit: true, types: ['node'] }
  const resolutions = {
    nodenext: { module: 'nodenext' },
    bundler: { module: 'esnext', moduleResolution: 'bundler' },
  }
  for (const [name, options] of Object.entries(resolutions)) {
    const config = { compilerOptions: { ...common, ...options }, include: ['*.ts'] }
    await writeFile(join(consumer, `tsconfig.${name}.json`), JSON.stringify(config))
  }
  await pnpm(
    consumer,
    'install',
    '--prefer-offline',
    '--no-frozen-lockfile',
    '--config.strict-peer-dependencies=true',
  )
}

function manifestOf(packages: readonly PackedPackage[]): object {
  const ours = Object.fromEntries(packages.map(({ manifest, tarball }) => [manifest.name, `file:${tarball}`]))
  const peers = packages.flatMap(({ folder, manifest }) =>
    Object.keys(manifest.peerDependencies ?? {}).map((peer) => [peer, installedVersion(folder, peer)]),
  )
  const types = ['@types/node', '@types/express'].map((name) => [
    name,
    installedVersion('packages/express', name),
  ])
  return {
    name: 'consumer',
    private: true,
    type: 'module',
    dependencies: { ...ours, ...Object.fromEntries([...peers, ...types]) },
    pnpm: { overrides: ours },
  }
}

function installedVersion(folder: string, name: string): string {
  const place = [folder, '.'].find((parent) => existsSync(join(root, parent, 'node_modules', name)))
  if (place === undefined) throw new Error(`${folder} has no ${name} among its devDependencies`)
  return (readJson(join(root, place, 'node_modules', name, 'package.json')) as { version: string }).version
}
