import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { text } from 'node:stream/consumers'
import { Ports } from '../../lab/dist/supervisor/ports.js'
import { root } from '../../scripts/workspace.mjs'
import { run, SCRIPT } from '../support/run.js'
import { type Snippet, snippetsOf } from './snippets.js'

const SECTION = 'A chain of your own'
/** Those that the README names; others are taken, which are free. */
const PORTS = ['8001', '8002', '8003']

/** Of a command: what it printed, and what the README says behind it; `…` is anything. */
export interface Printed {
  readonly command: string
  readonly promised: string
  readonly printed: string
}

export interface FirstHour {
  /** Whether packages are installed as printed; otherwise they are there. */
  readonly install: boolean
  readonly env: NodeJS.ProcessEnv
}

/**
 * Follows the main README through its section "A chain of your own": writes its files, runs its commands in their order, as
 * printed but for the ports, and ends the services when it is through.
 */
export async function followFirstHour(folder: string, { install, env }: FirstHour): Promise<Printed[]> {
  await using reserved = await Ports.reserve(PORTS.length)
  const ports = PORTS.map(() => reserved.take())
  const path = [join(root, 'tests/fixtures/readmes/bin'), env['PATH']].join(delimiter)
  const environment = { ...env, PATH: path }
  const printed: Printed[] = []
  let services: Services | undefined
  try {
    for (const snippet of snippetsOf('README.md').filter(({ section }) => section === SECTION)) {
      const shown = PORTS.reduce((at, port, i) => at.replaceAll(port, String(ports[i])), snippet.text)
      if (snippet.language === 'js') writeFileSync(join(folder, nameOf(snippet)), shown)
      else if (shown.startsWith('npx kest dev '))
        services = await startServices(shown, PORTS.length, folder, environment)
      else if (!shown.startsWith('npm install ')) printed.push(...(await runEach(shown, folder, environment)))
      else if (install) await run('bash', [...SCRIPT, shown], folder, environment)
    }
    return printed
  } finally {
    await services?.end()
  }
}

/** `// service.js`, at its beginning. */
function nameOf({ page, line, text: code }: Snippet): string {
  const name = /^\/\/ ([\w-]+\.js)\n/.exec(code)?.[1]
  if (name === undefined) throw new Error(`${page}:${line}: a file without a name`)
  return name
}

async function runEach(block: string, folder: string, env: NodeJS.ProcessEnv): Promise<Printed[]> {
  const printed: Printed[] = []
  for (const command of block.replaceAll('\\\n', '').split('\n')) {
    const promised = /\s# (.+)$/.exec(command)?.[1] ?? '…'
    printed.push({ command, promised, printed: await run('bash', [...SCRIPT, command], folder, env) })
  }
  return printed
}

interface Services {
  end(): Promise<void>
}

/** As in a terminal: its key for the end reaches whatever runs there. */
async function startServices(
  command: string,
  count: number,
  folder: string,
  env: NodeJS.ProcessEnv,
): Promise<Services> {
  const child = spawn('bash', [...SCRIPT, `exec ${command}`], { cwd: folder, env, detached: true })
  const closed = once(child, 'close')
  const complaints = text(child.stderr)
  let said = ''
  const listening = new Promise<void>((resolve) => {
    child.stdout.on('data', (data: Buffer) => {
      said += data.toString()
      if (said.split(' listens on ').length > count) resolve()
    })
  })
  const end = async (): Promise<void> => {
    if (child.exitCode === null && child.signalCode === null) process.kill(-(child.pid as number), 'SIGINT')
    await closed
  }
  const ended = closed.then(async () => {
    throw new Error(`${command} ended\n${said}${await complaints}`)
  })
  ended.catch(() => undefined)
  await Promise.race([listening, ended])
  return { end }
}
