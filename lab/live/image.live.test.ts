import { execFile } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, it } from 'vitest'
import { configurationFile } from '../src/files.js'
import { startLab, temporaryFolder } from './support/lab.js'

const PROGRAMS = ['services/hop1', 'services/hop2', 'services/hop3', 'spire/register'] as const
const DEPLOY_MS = 300_000

it('puts into the image what its programs need, and nothing to build it with', async () => {
  const folder = join(await temporaryFolder(), 'kest')
  const [command, ...args] = deployCommand(folder)
  const options = { cwd: configurationFile('..'), env: withoutNpm(), timeout: DEPLOY_MS }
  await promisify(execFile)(command as string, args, options)

  for (const name of ['typescript', 'vitest', '@kest/audit', '@kest/cli', 'dclint'])
    expect(existsSync(join(folder, 'node_modules', name)), name).toBe(false)
  const env = { PATH: process.env['PATH'] }
  for (const program of PROGRAMS) {
    // They find everything, and then miss what their environment would tell them.
    const run = promisify(execFile)(process.execPath, [join(folder, `dist/${program}.js`)], { env })
    await expect(run, program).rejects.toMatchObject({
      stderr: expect.stringMatching(/must be set|SPIFFE_ENDPOINT_SOCKET|usage: register\.js/),
    })
  }

  const { urls } = await startLab()
  const healthcheck = (url: string) =>
    promisify(execFile)(process.execPath, [join(folder, 'dist/services/healthcheck.js')], {
      env: { ...env, PORT: new URL(url).port },
    })
  await expect(healthcheck(urls.hop2)).resolves.toBeDefined()
  await expect(healthcheck(urls.opa.replace(/\d+$/, '1'))).rejects.toThrow()
}, 360_000)

/** What `docker/Dockerfile` does, into another folder. */
function deployCommand(folder: string): readonly string[] {
  const dockerfile = readFileSync(configurationFile('Dockerfile'), 'utf8')
  const [, command] = /^RUN (npx .* deploy --prod) \/images\/kest\/srv\/kest$/m.exec(dockerfile) ?? []
  if (command === undefined) throw new Error('the Dockerfile does not deploy the lab')
  return [...command.split(' '), folder]
}

/** npm describes itself in variables that pnpm would take for its own settings. */
function withoutNpm(): NodeJS.ProcessEnv {
  const kept = /^npm_config_(registry|cafile|strict_ssl|(https?_)?proxy|noproxy|userconfig|cache)$/
  return Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !name.startsWith('npm_') || kept.test(name)),
  )
}
