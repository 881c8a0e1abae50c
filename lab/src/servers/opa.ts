import { OPAPolicyEngine } from '@kest/opa'
import { Daemon } from '../supervisor/daemon.js'
import type { Supervisor } from '../supervisor/supervisor.js'
import { assertAnswers } from './ask.js'

export interface OpaOptions {
  readonly program: string
  /** Where it serves; `unix:///run/opa.sock` for a socket, which whoever reaches its folder may use. */
  readonly url: string
  /** Its policies, which it follows: a folder, or several folders and files. */
  readonly policies: string | readonly string[]
  /** Tells it from others of its kind. Default none. */
  readonly label?: string
}

/**
 * What OPA is run with, here and in `docker/compose.yaml`. It says at level `info` alone that files which it follows cannot
 * be read any more, beside two lines for each question.
 * @param address host and port where it listens, or its socket
 */
export function opaArguments(address: string, policies: string | readonly string[]): readonly string[] {
  return [
    ...['run', '--server', `--addr=${address}`, '--authorization=basic', '--log-level=info'],
    ...['--skip-version-check', '--watch', ...[policies].flat()],
  ]
}

/** OPA as in `docker/compose.yaml`. */
export function createOpa(
  supervisor: Supervisor,
  { program, url, policies, label = '' }: OpaOptions,
): Daemon {
  return new Daemon(
    {
      name: `opa${label}`,
      command: program,
      ...(isSocket(url)
        ? {
            args: [...opaArguments(url, policies), '--unix-socket-perm=777'],
            check: () => assertHealthy(new URL(url).pathname),
          }
        : {
            args: opaArguments(new URL(url).host, policies),
            check: () => assertAnswers(`${url}/health`),
          }),
    },
    supervisor,
  )
}

function isSocket(url: string): boolean {
  return new URL(url).protocol === 'unix:'
}

async function assertHealthy(socketPath: string): Promise<void> {
  await using engine = new OPAPolicyEngine({ url: 'http://opa', socketPath })
  await engine.health()
}
