import { rename, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { httpAnswer } from '../support/fault-proxy.js'
import { limit, rewrite, signal } from '../support/scene.js'
import type { Fault } from './fault.js'

const SLOW_MS = 1_500
const PAGE = httpAnswer('200 OK', 'text/html', '<html>It works!</html>')

export const POLICY_FAULTS: readonly Fault[] = [
  {
    name: 'OPA killed',
    codes: ['ERR_KEST_ENGINE', 'ERR_KEST_ENGINE_TIMEOUT'],
    log: ['hop1', 'ERR_KEST_ENGINE'],
    remedy: 'start OPA; look at its log, and at `OPA_URL`',
    async begin({ lab: { opa } }) {
      await opa?.kill()
      return () => opa?.start()
    },
  },
  {
    name: 'OPA hung',
    codes: ['ERR_KEST_ENGINE_TIMEOUT', 'ERR_KEST_ENGINE'],
    log: ['hop1', 'ERR_KEST_ENGINE_TIMEOUT'],
    remedy: 'restart OPA; look at what it waits for',
    async begin({ lab: { opa } }) {
      signal(opa?.pid, 'SIGSTOP')
      return () => signal(opa?.pid, 'SIGCONT')
    },
  },
  {
    name: `OPA slow: ${SLOW_MS} ms each way`,
    codes: ['ERR_KEST_ENGINE_TIMEOUT', 'ERR_KEST_ENGINE'],
    log: ['hop1', 'ERR_KEST_ENGINE_TIMEOUT'],
    remedy: 'give OPA what it needs, put it beside the service, or decide in process; `timeoutMs` is 1 s',
    async begin({ proxies: { opa } }) {
      opa.become({ delayMs: SLOW_MS })
      return () => opa.become('pass')
    },
  },
  {
    name: 'OPA answers garbage',
    codes: ['ERR_KEST_ENGINE_ANSWER', 'ERR_KEST_ENGINE'],
    log: ['hop1', 'ERR_KEST_ENGINE_ANSWER'],
    remedy: 'look at what listens at `OPA_URL`',
    async begin({ proxies: { opa } }) {
      opa.become({ answer: PAGE })
      return () => opa.become('pass')
    },
  },
  {
    name: 'a policy with a syntax error',
    codes: [],
    log: ['opa', 'rego_parse_error'],
    remedy: 'mend the line that OPA names; until then the policies from before decide',
    async begin({ policies }) {
      return await rewrite(join(policies, 'hop3.rego'), (text) => `${text}\nnot_sealed if {`)
    },
  },
  {
    name: 'a policy file removed',
    codes: ['ERR_KEST_DENIED'],
    log: ['hop3', 'ERR_KEST_DENIED'],
    remedy: 'put the file back: what no policy allows is denied',
    async begin({ policies }) {
      const file = join(policies, 'hop3.rego')
      const away = join(policies, '..', 'hop3.rego')
      await rename(file, away)
      return () => rename(away, file)
    },
  },
]

export const COLLECTOR_FAULTS: readonly Fault[] = [
  {
    name: 'Collector killed',
    codes: ['ERR_KEST_AUDIT_UNAVAILABLE'],
    log: ['hop1', 'audit spans cannot be exported'],
    remedy: 'start the Collector; what waits is exported then',
    async begin({ lab: { collector } }) {
      await collector.kill()
      return () => collector.start()
    },
  },
  {
    name: 'Collector hung',
    codes: ['ERR_KEST_AUDIT_UNAVAILABLE'],
    log: ['hop1', 'ERR_KEST_AUDIT_UNAVAILABLE'],
    remedy: 'restart the Collector; look at its disk',
    async begin({ lab: { collector } }) {
      signal(collector.pid, 'SIGSTOP')
      return () => signal(collector.pid, 'SIGCONT')
    },
  },
  {
    name: 'Collector without room on its disk',
    codes: ['ERR_KEST_AUDIT_UNAVAILABLE'],
    log: ['hop1', 'audit spans cannot be exported'],
    remedy: 'make room; the line that was cut off is named by the audit, and what stands behind it is read',
    async begin({ lab }) {
      const { size } = await stat(lab.spansFile)
      // It writes half a line, and then nothing, as on a full disk; and no mount is needed, which only root may make.
      return await limit(lab.collector.pid, 'fsize', size + 2_000)
    },
  },
  {
    name: 'something else answers in place of the Collector: 200, a page',
    codes: ['ERR_KEST_AUDIT_UNAVAILABLE'],
    log: ['hop1', 'audit spans cannot be exported'],
    remedy: 'look at what listens at `OTEL_EXPORTER_OTLP_ENDPOINT`',
    async begin({ proxies: { collector } }) {
      collector.become({ answer: PAGE })
      return () => collector.become('pass')
    },
  },
  {
    name: 'something else answers in place of the Collector: 400, a page',
    codes: ['ERR_KEST_AUDIT_UNAVAILABLE'],
    log: ['hop1', 'audit spans cannot be exported'],
    remedy: 'look at what listens at `OTEL_EXPORTER_OTLP_ENDPOINT`',
    async begin({ proxies: { collector } }) {
      collector.become({ answer: httpAnswer('400 Bad Request', 'text/html', '<html>nginx</html>') })
      return () => collector.become('pass')
    },
  },
]
