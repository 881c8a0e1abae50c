import { once } from 'node:events'
import { connect } from 'node:net'
import { expect, it, onTestFinished } from 'vitest'
import { type Broker, startBroker, temporaryFolder } from '../brokers/broker.js'
import { freePort } from '../brokers/free-port.js'
import { startKafka } from '../brokers/kafka.js'
import { startNats } from '../brokers/nats.js'
import { startRabbitMQ } from '../brokers/rabbitmq.js'
import { startRedis } from '../brokers/redis.js'
import { startSqs } from '../brokers/sqs.js'

const BROKERS: Readonly<Record<string, () => Promise<Broker>>> = {
  Kafka: () => startKafka(),
  NATS: startNats,
  RabbitMQ: startRabbitMQ,
  Redis: startRedis,
  SQS: startSqs,
}

it.each(Object.entries(BROKERS))(
  '%s is started, and again after a crash at the same place',
  async (_, start) => {
    const broker = await start()
    onTestFinished(() => broker.stop())
    const { port, url } = broker
    expect(url).toContain(`127.0.0.1:${port}`)
    await broker.kill()
    await expect(whoListens(port)).resolves.toBe('nobody')
    await broker.start()
    await expect(whoListens(port)).resolves.toBe('somebody')
    await broker.stop()
    await expect(whoListens(port)).resolves.toBe('nobody')
  },
)

it('a broker that is not installed is a failure that says what installs it', async () => {
  const broker = startBroker({
    port: await freePort(),
    url: 'none',
    folder: await temporaryFolder('none'),
    programs: [{ command: 'kest-no-such-broker', args: [] }],
    ready: async () => {},
  })
  await expect(broker).rejects.toThrow('kest-no-such-broker is not on PATH: scripts/live-tools.sh')
})

it('a broker that ends before it is ready is a failure with what it printed', async () => {
  const broker = startBroker({
    port: await freePort(),
    url: 'none',
    folder: await temporaryFolder('none'),
    programs: [{ command: process.execPath, args: ['-e', 'console.error("no room"); process.exit(3)'] }],
    ready: () => Promise.reject(new Error('not yet')),
  })
  await expect(broker).rejects.toThrow(/has ended:\nno room/)
})

async function whoListens(port: number): Promise<'somebody' | 'nobody'> {
  const socket = connect(port, '127.0.0.1')
  try {
    await once(socket, 'connect')
    return 'somebody'
  } catch (error) {
    expect(error).toMatchObject({ code: 'ECONNREFUSED' })
    return 'nobody'
  } finally {
    socket.destroy()
  }
}
