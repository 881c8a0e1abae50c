export { EntryIdWindow, repeatedId } from './across/entry-id-window.js'
export {
  type Facts,
  type FirstFact,
  factsOf,
  type IdFact,
  type NumberFact,
  type SeenFact,
  signedOf,
} from './across/facts.js'
export { OpenSequences, type OpenSequencesOptions } from './across/open-sequences.js'
export type { TableBounds } from './across/sequence-table.js'
export { type StandingFinding, standingFinding } from './across/standing-finding.js'
export { Audit, type AuditOptions, type AuditSummary } from './audit.js'
export { type EvidenceOptions, evidenceOf } from './evidence.js'
export {
  type AuditFinding,
  FINDING_CODES,
  type FindingCode,
  finding,
  type Severity,
  severityOf,
} from './finding.js'
export { type FollowFilesOptions, followFiles } from './follow/follow-files.js'
export type { FollowedBatch } from './follow/followed-batch.js'
export {
  type Followed,
  type FollowedCounts,
  type FollowedFinding,
  type FollowedVerdict,
  TraceFollower,
  type TraceFollowerOptions,
} from './follow/trace-follower.js'
export { type EntryKey, entryKey } from './group/entry-table.js'
export { EntryTables, MAX_ENTRY_TABLES } from './group/entry-tables.js'
export { IdTable, type KnownId } from './group/id-table.js'
export { lineageKey } from './group/lineage-key.js'
export type { Lineage } from './group/partition.js'
export type { AuditedEntry, EntryStatus, TraceReport, Verdict } from './judge/audited-entry.js'
export type { Denial, DenialProof, SignedDenial } from './judge/denial.js'
export type { EntryShare, JudgedLineage, LineageSource } from './judge/judge-lineages.js'
export type { SequenceRules } from './judge/open-sequence.js'
export type { JudgeOptions } from './judge/options.js'
export type { NumberedKind } from './judge/process-numbers.js'
export type { Receipt } from './judge/receipt.js'
export type { TraceSelection } from './judge/selection.js'
export { TraceJudge, type TraceJudgeOptions } from './judge/trace-judge.js'
export type { NotReady, ObservedRow } from './observed/observed-row.js'
export { type ObservedOptions, type ObservedReport, ObservedTally } from './observed/observed-tally.js'
export type { SpanBatch, SpanSource } from './read/batch.js'
export { readEntries } from './read/entries.js'
export { type ReadFilesOptions, readFiles, readStream, sizeOf } from './read/files.js'
export { readSqlite } from './read/sqlite.js'
export { type FileInFolder, filesInFolder } from './read/walk.js'
export type { OtlpReceiverOptions } from './receive/options.js'
export { OtlpReceiver } from './receive/otlp-receiver.js'
export { type OtlpEncoding, type OtlpRecord, readOtlp } from './receive/read-otlp.js'
export {
  PolicyReplay,
  type PolicyReplayOptions,
  type ReplaySummary,
  type TimeInForce,
  type Unverifiable,
} from './replay/policy-replay.js'
export type { NotRebuilt } from './replay/recorded-questions.js'
export { WhatIf, type WhatIfOptions, type WhatIfReport, type WhatIfRow } from './replay/what-if.js'
export { parseFindingJson, parseTraceJson } from './report/parse-trace-json.js'
export {
  asFull,
  type EntryJson,
  entryJson,
  type FindingJson,
  findingJson,
  type TraceJson,
  traceJson,
} from './report/trace-json.js'
export type { RevisionRow } from './revisions/revision-tally.js'
export { type RevisionReport, type RevisionsOptions, RevisionTally } from './revisions/revision-tally.js'
export {
  parseRoster,
  Roster,
  type RosterOptions,
  type RosterWorkload,
  resolveRoster,
} from './roster/roster.js'
export { type WatchedState, WatchedWorkload } from './roster/watched-workload.js'
export {
  type Open,
  resolveSettling,
  type Settled,
  Settling,
  type SettlingOptions,
} from './settle/settling.js'
export type { Claim, Claims, ExportedSpan, Place } from './span/exported-span.js'
