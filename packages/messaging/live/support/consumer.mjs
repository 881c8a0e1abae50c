// A consumer that never ends what it has begun, so that it can be killed in the middle of it:
// `node consumer.mjs LIBRARY URL NAME FOLDER`. It prints what it handles, a line of JSON for each. Keys are throw-away.
import { createKest, createKeySource, getCurrentPassport, getCurrentUser, MemoryCache } from '@kest/core'
import { MockIdentityProvider, MockPolicyEngine, RecordingLogger } from '@kest/core/testing'
import { setupTelemetry } from '@kest/telemetry'

const [library, url, name, folder] = process.argv.slice(2)
const PATIENCE_MS = 300_000
const logger = new RecordingLogger()

const telemetry = setupTelemetry({
  serviceName: 'messaging',
  exporter: 'file',
  endpoint: folder,
  // What is on record when the process is gone.
  confirm: true,
  waitTimeoutMs: PATIENCE_MS,
  logger,
})
const gateway = new MockIdentityProvider('gateway')
const kest = createKest({
  identity: new MockIdentityProvider('worker'),
  engine: new MockPolicyEngine(),
  trust: createKeySource({ [gateway.getWorkloadId()]: [gateway.getPublicJwk()] }),
  telemetry,
  logger,
  policyTimeoutMs: PATIENCE_MS,
})
const options = {
  kest,
  operation: { policy: 'orders/handle' },
  binding: 'message',
  replayStore: new MemoryCache(),
  deadLetter: ({ code }) => console.log(JSON.stringify({ refused: code })),
}

function handles(body) {
  const handled = {
    body: String(body),
    user: getCurrentUser(),
    passport: getCurrentPassport()?.toJSON() ?? [],
  }
  console.log(JSON.stringify(handled))
  return new Promise(() => {})
}

const LIBRARIES = {
  async amqplib() {
    const { connect } = await import('amqplib')
    const { wrapConsumer } = await import('@kest/messaging/amqplib')
    const channel = wrapConsumer(await (await connect(url)).createChannel(), options)
    await channel.prefetch(1)
    await channel.consume(name, ({ content }) => handles(content))
  },
  async bullmq() {
    const { Worker } = await import('bullmq')
    const { wrapProcessor } = await import('@kest/messaging/bullmq')
    const { hostname: host, port } = new URL(url)
    const connection = { host, port: Number(port) }
    new Worker(
      name,
      wrapProcessor(({ data }) => handles(data), options),
      {
        connection,
        lockDuration: 5_000,
        // Who looks for what nobody holds any more keeps others from it for as long.
        stalledInterval: 1_000,
      },
    )
  },
  async nats() {
    const { jetstream } = await import('@nats-io/jetstream')
    const { connect } = await import('@nats-io/transport-node')
    const { handleMessages } = await import('@kest/messaging/nats')
    const consumer = await jetstream(await connect({ servers: url })).consumers.get(name, 'workers')
    await handleMessages(
      await consumer.consume({ max_messages: 1 }),
      ({ data }) => handles(Buffer.from(data)),
      options,
    )
  },
  async nats2() {
    const { connect } = await import('nats')
    const { wrapCallback } = await import('@kest/messaging/nats')
    const consumer = await (await connect({ servers: url })).jetstream().consumers.get(name, 'workers')
    const callback = wrapCallback(({ data }) => handles(Buffer.from(data)), options)
    await consumer.consume({ max_messages: 1, callback })
  },
  async kafkajs() {
    const { Kafka, logLevel } = await import('kafkajs')
    const { wrapConsumer } = await import('@kest/messaging/kafkajs')
    const kafka = new Kafka({ brokers: [url], logLevel: logLevel.NOTHING })
    const consumer = wrapConsumer(kafka.consumer({ groupId: name, sessionTimeout: 10_000 }), options)
    await consumer.connect()
    await consumer.subscribe({ topic: name, fromBeginning: true })
    await consumer.run({ eachMessage: ({ message: { value } }) => handles(value) })
  },
  async 'platformatic-kafka'() {
    const { Consumer } = await import('@platformatic/kafka')
    const { consumeMessages } = await import('@kest/messaging/platformatic-kafka')
    const common = { clientId: 'child', bootstrapBrokers: [url], retries: true }
    const consumer = new Consumer({ ...common, groupId: name, sessionTimeout: 10_000 })
    const from = { topics: [name], mode: 'committed', fallbackMode: 'earliest', maxWaitTime: 100 }
    await consumeMessages(consumer, from, options, ({ value }) => handles(value))
  },
  async sqs() {
    const { ReceiveMessageCommand, SQSClient } = await import('@aws-sdk/client-sqs')
    const { wrapConsumer } = await import('@kest/messaging/sqs')
    const credentials = { accessKeyId: 'any', secretAccessKey: 'any' }
    const client = new SQSClient({ endpoint: new URL(url).origin, region: 'eu-west-1', credentials })
    const handle = wrapConsumer(client, options)(url, ({ Body }) => handles(Body))
    for (;;) {
      const request = { QueueUrl: url, MaxNumberOfMessages: 1, WaitTimeSeconds: 1 }
      const { Messages = [] } = await client.send(new ReceiveMessageCommand(request))
      await Promise.all(Messages.map(handle))
    }
  },
}

await LIBRARIES[library]()
