#!/usr/bin/env bash
# Builds the servers that the live suite and the lab run, unless they are there: `scripts/live-tools.sh FOLDER`, then
# FOLDER on PATH. OPA and the Collector need Go; with `--all` also SPIRE, some minutes more, a Cedar Agent, which
# needs cargo, and the brokers: NATS, Kafka (mvn, Java 17), RabbitMQ (Debian's, and its erl) and SQS (moto, Python).
set -euo pipefail
top=$(cd "$(dirname "$0")/.." && pwd)
mkdir -p "$1"
bin=$(cd "$1" && pwd)
all=${2:-}

OPA=v1.22.2
COLLECTOR_BUILDER=v0.159.0
SPIRE=v1.13.3
CEDAR_AGENT=0.2.0
NATS=v2.15.2
KAFKA=4.1.2
MOTO=5.2.5

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

if [ "$all" = --all ] && [ ! -x "$bin/nats-server" ]; then
  GOBIN=$bin go install "github.com/nats-io/nats-server/v2@$NATS"
fi

# program NAME COMMAND…: a program that is COMMAND, with the arguments that it is given.
program() {
  local name=$1
  shift
  printf '#!/bin/sh\nexec %s "$@"\n' "$*" >"$work/$name"
  chmod +x "$work/$name"
  mv "$work/$name" "$bin/$name"
}

if [ "$all" = --all ] && [ ! -x "$bin/kafka-server-start.sh" ]; then
  cat >"$work/pom.xml" <<POM
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>dev.kest</groupId>
  <artifactId>live-tools</artifactId>
  <version>1</version>
  <dependencies>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>$KAFKA</version></dependency>
  </dependencies>
</project>
POM
  mvn --batch-mode --quiet --file "$work/pom.xml" "-Dmaven.repo.local=$work/maven" \
    dependency:copy-dependencies -DincludeScope=runtime "-DoutputDirectory=$bin/kafka"
  java="java -Xmx512m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -cp '$bin/kafka/*'"
  program kafka-storage.sh "$java" kafka.tools.StorageTool
  program kafka-server-start.sh "$java" kafka.Kafka
fi

# Unpacked and not installed: the package starts a service of the system.
if [ "$all" = --all ] && [ ! -x "$bin/rabbitmq-server" ]; then
  (
    cd "$work"
    download=(apt-get download -qq -o APT::Sandbox::User=root rabbitmq-server)
    # What is known of Debian's packages may be nothing, or old.
    "${download[@]}" || { apt-get update -qq && "${download[@]}"; }
  )
  dpkg-deb --extract "$work"/rabbitmq-server_*.deb "$bin/rabbitmq"
  program rabbitmq-server "$bin/rabbitmq/usr/lib/rabbitmq/bin/rabbitmq-server"
fi

if [ "$all" = --all ] && [ ! -x "$bin/moto_server" ]; then
  python3 -m venv "$bin/moto"
  "$bin/moto/bin/pip" install --quiet "moto==$MOTO" flask flask-cors
  program moto_server "$bin/moto/bin/moto_server"
fi

# All of it is read: a reader that ends early would end this script with it.
"$bin/opa" version | sed -n 1p
"$bin/otelcol" --version
if [ "$all" = --all ]; then
  "$bin/spire-server" --version
  "$bin/spire-agent" --version
  "$bin/cedar-agent" --version
  "$bin/nats-server" --version
  "$bin/moto/bin/pip" freeze --quiet | grep '^moto='
  ls "$bin"/kafka/kafka_*.jar "$bin"/rabbitmq/usr/lib/rabbitmq/lib
fi
