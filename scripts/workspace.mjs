// What the other scripts share: where things are, and how a command is run.
import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const root = join(dirname(fileURLToPath(import.meta.url)), '..')

export function readJson(path) {
  return JSON.parse(readFileSync(path, 'utf8'))
}

/** Folders of all packages, relative to the root. */
export function packageFolders() {
  const nested = ['packages', 'examples'].flatMap((parent) =>
    readdirSync(join(root, parent)).map((name) => `${parent}/${name}`),
  )
  return [...nested, 'bench', 'lab'].filter((folder) => existsSync(join(root, folder, 'package.json'))).sort()
}

/** Runs a command in the root, with its output shown; ends this process when it fails. */
export function run(command, args, env = process.env) {
  const { status, error } = spawnSync(command, args, { cwd: root, env, stdio: 'inherit' })
  if (error) console.error(`${command}: ${error.message}`)
  if (status !== 0) process.exit(status ?? 1)
}

/** Runs a tool that is installed in the root, under this very Node. */
export function runTool(entry, ...args) {
  run(process.execPath, [join(root, 'node_modules', entry), ...args])
}

/**
 * The environment for a package manager started from an npm script: npm describes itself in `npm_…` variables, and
 * pnpm would take its settings for its own. What is about reaching the registry stays.
 */
export function packageManagerEnv() {
  const about = /^npm_config_(registry|cafile|strict_ssl|(https?_)?proxy|noproxy|userconfig|cache)$/
  return Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !name.startsWith('npm_') || about.test(name)),
  )
}
