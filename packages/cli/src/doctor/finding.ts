/** What can be looked at, in the order of the report. */
export const CHECKS = [
  'identity',
  'trust',
  'engine',
  'policies',
  'collector',
  'clock',
  'headers',
  'propagators',
] as const
export type Check = (typeof CHECKS)[number]

/** `not-checked`: it was not said where to look, or what it needs is not there. */
export type Status = 'ok' | 'warning' | 'failure' | 'not-checked'

/** Code → what it comes to, and what to do about it. The one place where codes are declared. */
const CODES = {
  'identity-known': ['ok', null],
  'identity-not-told': [
    'not-checked',
    'set SPIFFE_ENDPOINT_SOCKET, if the service has its identity from a Workload API',
  ],
  'identity-address': [
    'failure',
    'set SPIFFE_ENDPOINT_SOCKET to unix:///absolute/path of the socket, or tcp://ip:port',
  ],
  'identity-unreachable': [
    'failure',
    'start the SPIFFE agent on this host, and mount its socket to that path, readable for this user',
  ],
  'identity-denied': [
    'failure',
    'register this workload at the SPIFFE server, with selectors that this process has; an agent hears of it some seconds later',
  ],
  'identity-refused': ['failure', 'look at what serves the address: it speaks no Workload API'],
  'identity-unreadable': ['failure', 'look at the SPIFFE server, and whatever it has certificates from'],
  'identity-several': ['warning', 'say which it is: SPIREProvider.connect({ pick })'],
  'identity-not-valid': [
    'failure',
    'set the clock of this host; where it is right, look whether the agent rotates',
  ],
  'identity-not-rotated': [
    'warning',
    'look whether the SPIFFE agent reaches its server: SVIDs are renewed at half of their life',
  ],
  'identity-not-trusted': [
    'failure',
    'look whether agent and server are of the same trust domain, and bundles are up to date',
  ],
  'trust-known': ['ok', null],
  'trust-not-told': ['not-checked', null],
  'trust-missing': ['failure', 'federate with that trust domain, or give its bundle as trust material'],
  'trust-unreadable': ['warning', 'look at the bundle that the SPIFFE server has of that trust domain'],
  'engine-answers': ['ok', null],
  'engine-not-told': ['not-checked', 'say where OPA is: --opa URL'],
  'engine-unreachable': [
    'failure',
    'start OPA, and look at its address, its token, and who may open its socket',
  ],
  'engine-config': ['failure', 'mend what the message names'],
  'policies-known': ['ok', null],
  'policies-not-told': ['not-checked', 'say which are asked: --policy NAME'],
  'policies-not-asked': ['not-checked', null],
  'policy-unknown': ['failure', 'load it into OPA, or mend its name: a policy without a value denies'],
  'policy-unclear': [
    'warning',
    'allow POST /v1/compile for this question, or look yourself whether OPA has that policy',
  ],
  'collector-takes': ['ok', null],
  'collector-not-told': ['not-checked', 'set OTEL_EXPORTER_OTLP_ENDPOINT, or say where it is: --otlp URL'],
  'collector-config': ['failure', 'mend the variable that the message names'],
  'collector-does-not-take': [
    'failure',
    'start what receives OTLP/HTTP there, and look at its address and what it asks for',
  ],
  'clock-agrees': ['ok', null],
  'clock-not-told': ['not-checked', 'give --opa, --otlp or --front: their answers say what time it is there'],
  'clock-unknown': ['not-checked', null],
  'clock-differs': [
    'warning',
    'synchronise the clocks: hop tokens that are 5 s ahead are refused by default',
  ],
  'clock-far': [
    'failure',
    'synchronise the clocks: passports that are a minute ahead are refused by default',
  ],
  'headers-pass': ['ok', null],
  'headers-node': [
    'failure',
    'start the service with NODE_OPTIONS=--max-http-header-size=16384, or more: a passport takes up to 8,192 bytes, beside what else comes',
  ],
  'headers-not-told': ['not-checked', 'say what stands before the service: --front URL'],
  'headers-front-unreachable': ['failure', 'look at the URL, and at what serves it'],
  'headers-front-small': [
    'failure',
    'let it take 16 KiB of request headers: large_client_header_buffers of nginx, max_request_headers_kb of Envoy, --max-http-header-size of Node',
  ],
  'headers-unclear': [
    'warning',
    'ask again when it has less to do, and for what it answers without an error, a health check say',
  ],
  'propagators-fit': ['ok', null],
  'propagators-not-told': [
    'not-checked',
    'where code sets up an SDK of OpenTelemetry, let its propagator be filterKestBaggage(…)',
  ],
  'propagators-baggage': [
    'warning',
    'set up the SDK in code, with textMapPropagator: filterKestBaggage(…), or leave baggage out: OTEL_PROPAGATORS=tracecontext',
  ],
  'timed-out': ['failure', 'look at what does not answer; --timeout gives it longer'],
  'broke-off': ['failure', null],
} as const satisfies Record<string, readonly [Status, string | null]>

export type FindingCode = keyof typeof CODES

/** What one look found. */
export interface Finding {
  readonly check: Check
  readonly status: Status
  readonly code: FindingCode
  /** May hold text of strangers. */
  readonly message: string
  /** What to do about it, in a sentence. */
  readonly remedy: string | null
}

export function finding(check: Check, code: FindingCode, message: string): Finding {
  const [status, remedy] = CODES[code]
  return { check, status, code, message, remedy }
}
