import type { Choices } from './choices.js'
import type { WrittenFile } from './written-file.js'

const OPA = `  opa:
    image: openpolicyagent/opa:1.22.2-static
    command: [run, --server, --addr=0.0.0.0:8181, --skip-version-check, --watch, /policies]
    # Whoever reaches it can rewrite its policies: this machine alone.
    ports: ["127.0.0.1:8181:8181"]
    volumes: ["./policies:/policies:ro"]
`
const COLLECTOR = `  collector:
    image: otel/opentelemetry-collector-contrib:0.159.0
    user: "0:0"
    command: ["--config=/etc/otelcol/config.yaml"]
    ports: ["127.0.0.1:4318:4318"]
    volumes:
      - ./collector.yaml:/etc/otelcol/config.yaml:ro
      - ./spans:/var/lib/otelcol
`
const COLLECTOR_CONFIG = `# Spans come in by OTLP/HTTP and are appended to one file, which kest audit reads. Nothing is sampled, nothing is changed.
receivers:
  otlp:
    protocols:
      http:
        endpoint: 0.0.0.0:4318
exporters:
  file:
    path: /var/lib/otelcol/spans.jsonl
    rotation:
      max_megabytes: 1024
      max_backups: 0
service:
  pipelines:
    traces:
      receivers: [otlp]
      exporters: [file]
`

/** What the service needs beside it, for `docker compose`; nothing, where all of it is in the process. */
export function composeFiles({ engine, exporter }: Choices): readonly WrittenFile[] {
  const services = [...(engine === 'opa' ? [OPA] : []), ...(exporter === 'otlp' ? [COLLECTOR] : [])]
  if (services.length === 0) return []
  const text = `# What the service needs beside it, for development: docker compose -f compose.kest.yaml up
services:
${services.join('\n')}`
  const compose = { path: 'compose.kest.yaml', text, about: 'what the service needs beside it' }
  if (exporter !== 'otlp') return [compose]
  return [compose, { path: 'collector.yaml', text: COLLECTOR_CONFIG, about: "the Collector's configuration" }]
}
