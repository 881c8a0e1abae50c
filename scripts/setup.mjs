// Installs and builds. Quick when nothing changed: the other scripts begin with it.
import { createHash } from 'node:crypto'
import { copyFileSync, existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { packageFolders, packageManagerEnv, readJson, root, run, runTool } from './workspace.mjs'

const [major, minor] = process.versions.node.split('.').map(Number)
if (major < 20 || (major === 20 && minor < 19)) {
  console.error(`Kest needs Node 20.19 or newer; this is ${process.version}.`)
  process.exit(1)
}

install()
runTool('typescript/bin/tsc', '-b')
shipChangelog()

/** Unless what is installed is what the manifests and the lockfile ask for. */
function install() {
  const stamp = join(root, 'node_modules/.kest-installed')
  const wanted = manifestsHash()
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted) return
  const { packageManager } = readJson(join(root, 'package.json'))
  run('npx', ['-y', packageManager, 'install', '--frozen-lockfile'], packageManagerEnv())
  writeFileSync(stamp, wanted)
}

function manifestsHash() {
  const manifests = ['', ...packageFolders()].map((folder) => join(folder, 'package.json'))
  const hash = createHash('sha256').update(`${process.platform} ${process.arch}\n`)
  for (const file of ['pnpm-lock.yaml', 'pnpm-workspace.yaml', ...manifests]) {
    hash.update(`${file}\n`).update(readFileSync(join(root, file)))
  }
  return hash.digest('hex')
}

/** All packages share one; each is published with it. */
function shipChangelog() {
  for (const folder of packageFolders().filter((name) => name.startsWith('packages/'))) {
    copyFileSync(join(root, 'CHANGELOG.md'), join(root, folder, 'CHANGELOG.md'))
  }
}
