import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { ask } from './ask.js'
import { type Broker, startBroker, temporaryFolder } from './broker.js'
import { freePort } from './free-port.js'

/** `AMQP` 0-9-1. */
const PROTOCOL = Uint8Array.of(0x41, 0x4d, 0x51, 0x50, 0, 0, 9, 1)

/**
 * A node of RabbitMQ that is no other's: a folder, a cookie, ports and a port mapper of its own, on 127.0.0.1 all of them.
 * `url` is its address, with the credentials of `guest`.
 */
export async function startRabbitMQ(): Promise<Broker> {
  const [port, distribution, mapper] = [await freePort(), await freePort(), await freePort()]
  const folder = await temporaryFolder('rabbitmq')
  await mkdir(join(folder, 'home'))
  await writeFile(join(folder, 'enabled_plugins'), '[].\n')
  await writeFile(join(folder, 'none.conf'), '')
  await writeFile(join(folder, 'rabbitmq.conf'), `listeners.tcp.default = 127.0.0.1:${port}\n`)
  const env = {
    // No shell remains before the node, which then is the process that was started.
    RUNNING_UNDER_SYSTEMD: 'true',
    HOME: join(folder, 'home'),
    ERL_EPMD_ADDRESS: '127.0.0.1',
    ERL_EPMD_PORT: String(mapper),
    RABBITMQ_CONF_ENV_FILE: join(folder, 'none.conf'),
    RABBITMQ_NODENAME: `kest-${port}@localhost`,
    RABBITMQ_DIST_PORT: String(distribution),
    RABBITMQ_CONFIG_FILE: join(folder, 'rabbitmq.conf'),
    RABBITMQ_ADVANCED_CONFIG_FILE: join(folder, 'none.config'),
    RABBITMQ_ENABLED_PLUGINS_FILE: join(folder, 'enabled_plugins'),
    RABBITMQ_MNESIA_BASE: join(folder, 'data'),
    RABBITMQ_GENERATED_CONFIG_DIR: join(folder, 'config'),
    RABBITMQ_FEATURE_FLAGS_FILE: join(folder, 'feature_flags'),
    RABBITMQ_PID_FILE: join(folder, 'pid'),
    RABBITMQ_LOG_BASE: join(folder, 'log'),
    RABBITMQ_LOGS: '-',
    RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS: '-kernel inet_dist_use_interface {127,0,0,1}',
  }
  return startBroker({
    port,
    url: `amqp://guest:guest@127.0.0.1:${port}`,
    folder,
    programs: [
      // In the foreground: as a daemon, it would outlive the node.
      { command: 'epmd', args: ['-port', String(mapper), '-address', '127.0.0.1'], env },
      { command: 'rabbitmq-server', args: [], env },
    ],
    ready: () => ask(port, PROTOCOL),
  })
}
