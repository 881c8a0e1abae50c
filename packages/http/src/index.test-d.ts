import http from 'node:http'
import https from 'node:https'
import { createKest, type KestState } from '@kest/core'
import {
  type BoundRule,
  createKestAgent,
  type PropagationRule,
  patchHttp,
  type Redirects,
  type Unpatch,
} from './index.js'

const propagateTo = ['http://hop2:8000'] as const
const kest = createKest({})

export const unpatch: Unpatch = patchHttp({ propagateTo, kest, hop: true, redirects: 'follow' })
unpatch()
export const disposable: Disposable = unpatch
// @ts-expect-error the rule is required
patchHttp({})
// @ts-expect-error the rule is required
patchHttp()
// @ts-expect-error regular expressions are no rule
patchHttp({ propagateTo: [/hop2/] })
// @ts-expect-error a single string is no list
patchHttp({ propagateTo: 'http://hop2:8000' })
// @ts-expect-error a promise is no answer
patchHttp({ propagateTo: async () => true })
// @ts-expect-error unknown option
patchHttp({ propagateTo, scope: [] })
// @ts-expect-error neither followed nor refused
patchHttp({ propagateTo, redirects: 'maybe' })
// @ts-expect-error not an instance
patchHttp({ propagateTo, kest: {} })
// @ts-expect-error a token is asked for or not
patchHttp({ propagateTo, hop: 'https://hop2' })

// Agents keep their type.
export const agent: http.Agent = createKestAgent(new http.Agent(), { propagateTo })
export const secure: https.Agent = createKestAgent(new https.Agent({ ca: '' }), { propagateTo, kest })
http.get({ agent: createKestAgent(new http.Agent(), { propagateTo: () => true }) })
// @ts-expect-error not an agent
createKestAgent('agent', { propagateTo })
// @ts-expect-error the options are required
createKestAgent(new http.Agent())
// @ts-expect-error the rule is required
createKestAgent(new http.Agent(), {})

// Bound to a state: agents, not the modules of all.
declare const state: KestState
export const bound: http.Agent = createKestAgent(new http.Agent(), { propagateTo, state })
// @ts-expect-error no state
createKestAgent(new http.Agent(), { propagateTo, state: undefined })
// @ts-expect-error one state for everybody
patchHttp({ propagateTo, state })

export const rule: PropagationRule = { propagateTo: (url) => url.protocol === 'https:' }
export const boundRule: BoundRule = { ...rule, state }
export const redirects: Redirects = 'refuse'
