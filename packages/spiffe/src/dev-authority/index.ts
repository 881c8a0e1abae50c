export { createDevAuthority, type DevAuthority } from './dev-authority.js'
export type { KeyType } from './keys.js'
export type { DevAuthorityOptions, DevWorkloadOptions } from './options.js'
export type { SpiffeBundleDocument } from './trust.js'
