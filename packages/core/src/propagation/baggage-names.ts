/** Names and sizes of the wire form (SPEC §3.4), each named once. */

/** The header that carries a passport (NF-INTER-02). */
export const BAGGAGE_HEADER = 'baggage'

/** Every key of ours starts with it. */
export const KEST_PREFIX = 'kest.'

/** Keys of the members. */
export const MEMBER = {
  passport: 'kest.passport',
  compressed: 'kest.passport_z',
  claimCheck: 'kest.claim_check',
  chainTip: 'kest.chain_tip',
  hop: 'kest.hop',
  message: 'kest.message',
  receipt: 'kest.receipt',
  user: 'kest.user',
  agent: 'kest.agent',
  task: 'kest.task',
  jwt: 'kest.jwt',
} as const

/** OpenTelemetry propagators drop a longer `key=value` without a word (K-SIZE). */
export const MAX_MEMBER_LENGTH = 4096
/** OpenTelemetry propagators, and W3C Baggage §3.3.2, stop here (K-SIZE). */
export const MAX_HEADER_LENGTH = 8192
/** What we read at most, as much as Node itself takes of all headers unless told otherwise. */
export const MAX_INBOUND_LENGTH = 16_384
