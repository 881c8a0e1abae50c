import { getEventListeners } from 'node:events'
import { createKest } from '@kest/core'
import { MockIdentityProvider, RecordingLogger } from '@kest/core/testing'

const { signal } = new AbortController()
const evaluate = () => new Promise((resolve) => setTimeout(resolve, 5, true))
const logger = new RecordingLogger()
const kest = createKest({ identity: new MockIdentityProvider('service'), engine: { evaluate }, logger })
const state = await kest.listener({ origin: 'system' }).receive({ headers: {}, signal })
const operations = Array.from({ length: 50 }, () =>
  kest.begin({ operation: 'read', policy: 'read' }, { state }),
)
const begun = await Promise.all(operations)
// One listener stays with the signal, whatever there was.
const left = Math.max(0, getEventListeners(signal, 'abort').length - 1)
console.log(`${begun.length} begun, ${left} listeners left`)
