#!/usr/bin/env bash
# Builds the servers that the live suite and the lab run, unless they are there: `scripts/live-tools.sh FOLDER`, then
# FOLDER on PATH. OPA and the Collector need Go; with `--all` also SPIRE, some minutes more, and a Cedar Agent, which
# needs cargo.
set -euo pipefail
top=$(cd "$(dirname "$0")/.." && pwd)
mkdir -p "$1"
bin=$(cd "$1" && pwd)
all=${2:-}

OPA=v1.22.2
COLLECTOR_BUILDER=v0.159.0
SPIRE=v1.13.3
CEDAR_AGENT=0.2.0

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

# SPIRE's module replaces others, so that it installs as a tool of a module alone.
if [ "$all" = --all ] && [ ! -x "$bin/spire-agent" ]; then
  spire=github.com/spiffe/spire/cmd
  mkdir "$work/spire"
  (
    cd "$work/spire"
    go mod init throw-away
    go get -tool "$spire/spire-server@$SPIRE" "$spire/spire-agent@$SPIRE"
    GOBIN=$bin go install "$spire/spire-server" "$spire/spire-agent"
  )
fi

if [ "$all" = --all ] && [ ! -x "$bin/cedar-agent" ]; then
  cargo install cedar-agent --version "$CEDAR_AGENT" --root "$work/cedar" --target-dir "$work/cedar/target"
  mv "$work/cedar/bin/cedar-agent" "$bin/cedar-agent"
fi

# All of it is read: a reader that ends early would end this script with it.
"$bin/opa" version | sed -n 1p
"$bin/otelcol" --version
if [ "$all" = --all ]; then
  "$bin/spire-server" --version
  "$bin/spire-agent" --version
  "$bin/cedar-agent" --version
fi
