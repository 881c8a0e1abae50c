import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, it } from 'vitest'
import { temporaryFolder } from './support/resources.js'

const PROTO = fileURLToPath(new URL('../proto', import.meta.url))
const COMMITTED = fileURLToPath(new URL('../src/workload-api/workload_pb.ts', import.meta.url))
/** As they made the committed file. */
const COMPILER = ['@bufbuild/buf@1.75.0', '@bufbuild/protoc-gen-es@2.17.0']
const INSTALL_MS = 240_000

it(
  'the committed code of the Workload API is what its protobuf definition compiles to',
  async () => {
    const folder = await temporaryFolder()
    const run = promisify(execFile)
    const quiet = ['--prefix', folder, '--silent', '--no-audit', '--no-fund', '--no-save']
    await run('npm', ['install', ...quiet, ...COMPILER], { timeout: INSTALL_MS })
    const programs = join(folder, 'node_modules/.bin')
    // One level down, as the configuration writes to the folder beside.
    await run('buf', ['generate', '--output', join(folder, 'proto')], {
      cwd: PROTO,
      env: { ...process.env, PATH: programs + delimiter + process.env['PATH'] },
    })
    const generated = await readFile(join(folder, 'src/workload-api/workload_pb.ts'), 'utf8')
    expect(generated).toBe(await readFile(COMMITTED, 'utf8'))
  },
  INSTALL_MS + 60_000,
)
