export type { BoundRule, PropagationRule, Redirects, Unpatch } from '@kest/core'
export { createKestAgent } from './kest-agent.js'
export { patchHttp } from './patch-http.js'
