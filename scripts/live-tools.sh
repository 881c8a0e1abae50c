#!/usr/bin/env bash
# Installs the servers that the live suite and the lab run, unless they are there: `scripts/live-tools.sh FOLDER`, then
# FOLDER on PATH. Needs Go. SPIRE is not among them: its releases go into the same folder.
set -euo pipefail
top=$(cd "$(dirname "$0")/.." && pwd)
mkdir -p "$1"
bin=$(cd "$1" && pwd)

OPA=v1.22.2
COLLECTOR_BUILDER=v0.159.0

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

if [ ! -x "$bin/opa" ]; then
  GOBIN=$bin go install "github.com/open-policy-agent/opa@$OPA"
fi

if [ ! -x "$bin/otelcol" ]; then
  GOBIN=$work go install "go.opentelemetry.io/collector/cmd/builder@$COLLECTOR_BUILDER"
  (cd "$work" && ./builder --config "$top/docker/collector/builder.yaml")
  mv "$work/otelcol-build/otelcol" "$bin/otelcol"
fi

# All of it is read: a reader that ends early would end this script with it.
"$bin/opa" version | sed -n 1p
"$bin/otelcol" --version
