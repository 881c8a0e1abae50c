import { execFile } from 'node:child_process'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { TRUST_DOMAIN } from './names.js'

const KEST = join(dirname(createRequire(import.meta.url).resolve('@kest/cli/package.json')), 'bin/kest.js')

/** What `kest` says of the spans: `kest graph`, `kest audit`. */
export async function kest(command: 'audit' | 'graph', out: string): Promise<string> {
  const args = [KEST, command, join(out, 'spans'), '--trust', `${TRUST_DOMAIN}=${join(out, 'bundle.json')}`]
  const { stdout } = await promisify(execFile)(process.execPath, args)
  return stdout
}
