import { ConfigResourceTypes } from '@platformatic/kafka'
import { attempt } from './kafka-attempt.js'
import type { clientOptions } from './kafka-options.js'
import { withAdmin } from './with-admin.js'

const POLICY = 'cleanup.policy'
const RETENTION = 'retention.ms'

/** How long a topic keeps a record at least, milliseconds; `null`: its time is not what takes it. */
export async function retentionOf(
  options: ReturnType<typeof clientOptions>,
  topic: string,
): Promise<number | null> {
  const asked = {
    resourceType: ConfigResourceTypes.TOPIC,
    resourceName: topic,
    configurationKeys: [POLICY, RETENTION],
  }
  const answers = await withAdmin(options, (admin) =>
    attempt(`configuration of topic ${topic}`, () => admin.describeConfigs({ resources: [asked] })),
  )
  const configs = new Map(answers.flatMap((one) => one.configs).map(({ name, value }) => [name, value]))
  const retentionMs = Number(configs.get(RETENTION) ?? -1)
  const deletes = (configs.get(POLICY) ?? 'delete').split(',').some((one) => one.trim() === 'delete')
  return deletes && retentionMs >= 0 ? retentionMs : null
}
