export type { Combination } from './format.js'
export { policyPlans } from './policy-plans.js'
