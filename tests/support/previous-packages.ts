import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, rm, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import { root } from '../../scripts/workspace.mjs'

/** Packages as they were, each with what it needs of others (`tests/fixtures/previous`). */
const NEEDS = { core: ['jose', 'yaml', '@opentelemetry/api'], audit: ['@bufbuild/protobuf'] } as const

export interface PreviousPackages {
  readonly core: typeof import('../../packages/core/dist/index.js')
  readonly audit: typeof import('../../packages/audit/dist/index.js')
  remove(): Promise<void>
}

/** Installs them in a folder of their own, where they find nothing of the workspace. */
export async function previousPackages(): Promise<PreviousPackages> {
  const folder = await mkdtemp(join(tmpdir(), 'kest-previous-'))
  const modules = join(folder, 'node_modules')
  for (const [name, needs] of Object.entries(NEEDS)) {
    const place = join(modules, '@kest', name)
    await mkdir(place, { recursive: true })
    const tarball = join(root, 'tests', 'fixtures', 'previous', `kest-${name}.tgz`)
    await promisify(execFile)('tar', ['-xzf', tarball, '-C', place, '--strip-components=1'])
    for (const need of needs) {
      await mkdir(dirname(join(modules, need)), { recursive: true })
      await symlink(join(root, 'packages', name, 'node_modules', need), join(modules, need))
    }
  }
  const load = (name: string) => import(pathToFileURL(join(modules, '@kest', name, 'dist', 'index.js')).href)
  return {
    core: await load('core'),
    audit: await load('audit'),
    remove: () => rm(folder, { recursive: true }),
  }
}
