import { existsSync, mkdirSync, readdirSync, symlinkSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { root } from '../../scripts/workspace.mjs'

/** Gives a folder a `node_modules` with the packages of the workspace, and with all that these have installed. */
export function linkWorkspaceModules(folder: string): void {
  const modules = join(folder, 'node_modules')
  for (const name of readdirSync(join(root, 'packages'))) {
    link(join(root, 'packages', name), join(modules, '@kest', name))
    for (const installed of modulesOf(join(root, 'packages', name, 'node_modules'))) {
      link(join(root, 'packages', name, 'node_modules', installed), join(modules, installed))
    }
  }
  for (const installed of modulesOf(join(root, 'node_modules'))) {
    link(join(root, 'node_modules', installed), join(modules, installed))
  }
}

/** The first one stays. */
function link(target: string, place: string): void {
  if (existsSync(place)) return
  mkdirSync(dirname(place), { recursive: true })
  symlinkSync(target, place)
}

function modulesOf(modules: string): string[] {
  if (!existsSync(modules)) return []
  return readdirSync(modules)
    .filter((name) => !name.startsWith('.'))
    .flatMap((name) =>
      name.startsWith('@') ? readdirSync(join(modules, name)).map((part) => `${name}/${part}`) : [name],
    )
}
