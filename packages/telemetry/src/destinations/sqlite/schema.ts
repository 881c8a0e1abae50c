/** "KEST": whose file it is, for whoever opens it (`PRAGMA application_id`). */
export const APPLICATION_ID = 0x4b455354
/** `PRAGMA user_version`. */
export const SCHEMA_VERSION = 1

/** Every column but `otlp` is an index into it, and proves nothing: facts are in `kest.signature` within `otlp`. */
export const SCHEMA = `
CREATE TABLE spans (
  id               INTEGER PRIMARY KEY AUTOINCREMENT,
  trace_id         TEXT NOT NULL,
  span_id          TEXT NOT NULL,
  service          TEXT,
  name             TEXT NOT NULL,
  operation        TEXT,
  decision         TEXT,
  entry_id         TEXT,
  entry_hash       TEXT,
  lineage_trace_id TEXT,
  principal        TEXT,
  time_ms          INTEGER NOT NULL,
  recorded_ms      INTEGER NOT NULL,
  otlp             TEXT NOT NULL
) STRICT;
CREATE INDEX spans_trace ON spans (trace_id);
CREATE INDEX spans_lineage ON spans (lineage_trace_id);
CREATE INDEX spans_entry ON spans (entry_hash);
CREATE INDEX spans_principal ON spans (principal, time_ms);
CREATE INDEX spans_time ON spans (time_ms);
PRAGMA application_id = ${APPLICATION_ID};
PRAGMA user_version = ${SCHEMA_VERSION};
`

/** All columns that are written, in the order of a {@link SpanRow}. */
export const COLUMNS = [
  'trace_id',
  'span_id',
  'service',
  'name',
  'operation',
  'decision',
  'entry_id',
  'entry_hash',
  'lineage_trace_id',
  'principal',
  'time_ms',
  'recorded_ms',
  'otlp',
] as const
