#!/usr/bin/env bash
# An engine for the containers of `docker/` where Docker is not, and where nothing can be pulled: `scripts/containers.sh FOLDER`,
# then FOLDER/bin on PATH has a `docker` that runs the commands of docker/README.md by podman. It builds stand-ins for the
# images that the files name, under their names, from Debian, from npm's Node and from the servers of
# `scripts/live-tools.sh` that are on PATH. It needs root on Debian. All of it is in FOLDER: `scripts/containers.sh FOLDER --remove` ends what
# still runs, and takes it away. Its exit status is 3 where this machine does not let containers run, whatever is installed.
set -euo pipefail
readonly CANNOT_RUN=3
top=$(cd "$(dirname "$0")/.." && pwd)
mkdir -p "$1"
folder=$(cd "$1" && pwd)

PODMAN_COMPOSE=1.6.0
DEBIAN=bookworm

# What the engine would hang on, or does not find any more, keeps nothing from being taken away.
remove() {
  local podman="$folder/bin/podman"
  if [ -x "$podman" ]; then timeout 120 "$podman" rm --all --force --volumes --time 0 >/dev/null || true; fi
  if [ -d "$folder/networks" ]; then
    # None is there after `down`.
    { cat "$folder"/networks/*.json 2>/dev/null || true; } | sed -n 's/.*"network_interface": "\(.*\)".*/\1/p' |
      while read -r bridge; do ip link delete "$bridge" 2>/dev/null || true; done
    forget_rules || true
  fi
  # Of what is still mounted, what was mounted last is first to go.
  findmnt --raw --noheadings --output TARGET | awk -v top="$folder/" 'index($0, top) == 1' | tac |
    while read -r mount; do umount --lazy "$mount"; done
  # Those in which something runs stay.
  find /sys/fs/cgroup -depth -type d -path '*/libpod_parent*' -exec rmdir {} + 2>/dev/null || true
  rm -rf "$folder"
}

# The rules of a network go with its last container. Those that all networks share stay, unless no network has any of its own.
forget_rules() {
  local table rule chain
  if iptables-save | grep -Eq '^:NETAVARK-(DN-)?[0-9A-F]{8,} '; then return; fi
  for table in filter nat; do
    iptables -t "$table" -S | sed -n '/^-A .*NETAVARK/s/-A/-D/p' | while read -r rule; do
      # It has quotes.
      xargs iptables -t "$table" <<<"$rule"
    done
    iptables -t "$table" -S | sed -n 's/^-N \(NETAVARK.*\)/\1/p' | while read -r chain; do iptables -t "$table" -X "$chain"; done
  done
  if [ -f "$folder/forwarding" ]; then cat "$folder/forwarding" >/proc/sys/net/ipv4/ip_forward; fi
}

if [ "${2:-}" = --remove ]; then
  remove
  exit
fi

if [ "$(id -u)" != 0 ]; then
  echo 'containers: they are run by root alone' >&2
  exit "$CANNOT_RUN"
fi

for program in spire-server spire-agent opa otelcol; do
  command -v "$program" >/dev/null || { echo "$program is not on PATH: scripts/live-tools.sh builds it" >&2; exit 1; }
done

missing=()
for program in podman runc debootstrap iptables; do command -v "$program" >/dev/null || missing+=("$program"); done
[ -x /usr/lib/podman/netavark ] || missing+=(netavark)
[ -x /usr/lib/podman/aardvark-dns ] || missing+=(aardvark-dns)
if ((${#missing[@]})); then
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -yqq --no-install-recommends "${missing[@]}"
fi

mkdir -p "$folder/bin" "$folder/networks" "$folder/tmp"
# Networks switch it on.
[ -f "$folder/forwarding" ] || cat /proc/sys/net/ipv4/ip_forward >"$folder/forwarding"
[ -x "$folder/compose/bin/podman-compose" ] || {
  python3 -m venv "$folder/compose"
  "$folder/compose/bin/pip" install --quiet "podman-compose==$PODMAN_COMPOSE"
}
# Limits can be lowered and not raised where the operator is confined himself; and crun wants cgroups of one version alone.
cat >"$folder/containers.conf" <<CONF
[containers]
default_ulimits = ["nofile=4096:4096", "nproc=4000:4000"]
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
lock_type = "file"
tmp_dir = "$folder/run/engine"
[network]
network_backend = "netavark"
network_config_dir = "$folder/networks"
CONF
for program in docker podman; do
  sed "s|@FOLDER@|$folder|" "$top/scripts/containers/$program" >"$folder/bin/$program"
  chmod +x "$folder/bin/$program"
done
export PATH=$folder/bin:$PATH

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# named FILE PATTERN: the image that a file of `docker/` names.
named() {
  grep -oE "$2" "$top/docker/$1" | sort -u
}

# image NAME CONTAINERFILE: unless it is there. What it copies is in `work`.
image() {
  podman image exists "$1" || podman build --quiet --network none --tag "$1" --file - "$work" <<<"$2" >/dev/null
}

# As whatever keeps its storage from being had would be.
podman info >/dev/null || exit "$CANNOT_RUN"

base=localhost/kest-stand-in-base:$DEBIAN
if ! podman image exists "$base"; then
  debootstrap --variant=minbase --include=ca-certificates "$DEBIAN" "$work/base" >/dev/null
  rm -rf "$work"/base/var/cache/apt/* "$work"/base/var/lib/apt/lists/*
  # Where somebody between here and the registries has a certificate of his own.
  if [ -n "${NODE_EXTRA_CA_CERTS:-}" ]; then cp "$NODE_EXTRA_CA_CERTS" "$work/base/etc/ssl/certs/ca-certificates.crt"; fi
  tar -C "$work/base" -c . | podman import --quiet - "$base" >/dev/null
  rm -rf "$work/base"
fi

# What a kernel, or whatever this machine is itself confined by, may have against it: a container, and one on a network.
podman network exists probe || podman network create --internal probe >/dev/null || exit "$CANNOT_RUN"
for network in none probe; do
  podman run --rm --network "$network" --read-only --cap-drop ALL --security-opt no-new-privileges "$base" true || {
    echo "containers: podman is installed, and cannot run one here (network $network)" >&2
    exit "$CANNOT_RUN"
  }
done
podman network rm probe >/dev/null

node=$(named Dockerfile 'node:[0-9.]+-[a-z-]+')
if ! podman image exists "docker.io/library/$node"; then
  version=${node#node:}
  npm install --prefix "$work/node" --no-audit --no-fund --silent "node@${version%%-*}" npm@10
  image "docker.io/library/$node" "FROM $base
RUN useradd --uid 1000 --create-home node
COPY node/node_modules/node/bin/node /usr/local/bin/node
COPY node/node_modules/npm /usr/local/lib/node_modules/npm
RUN ln -s ../lib/node_modules/npm/bin/npm-cli.js /usr/local/bin/npm \
 && ln -s ../lib/node_modules/npm/bin/npx-cli.js /usr/local/bin/npx
ENV NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt"
fi

for program in spire-server spire-agent opa otelcol; do cp "$(command -v "$program")" "$work/$program"; done
# The server's has a user who owns the places that it writes to; the agent's is root.
image "$(named compose.yaml 'ghcr.io/spiffe/spire-server:[0-9.]+')" "FROM $base
COPY spire-server /opt/spire/bin/spire-server
RUN install -d -o 1000 -g 1000 /run/spire/server/private /var/lib/spire/server
USER 1000:1000
ENTRYPOINT [\"/opt/spire/bin/spire-server\", \"run\"]"
image "$(named compose.yaml 'ghcr.io/spiffe/spire-agent:[0-9.]+')" "FROM $base
COPY spire-agent /opt/spire/bin/spire-agent
ENTRYPOINT [\"/opt/spire/bin/spire-agent\", \"run\"]"
image "docker.io/$(named compose.yaml 'openpolicyagent/opa:[0-9a-z.-]+')" "FROM $base
COPY opa /opa
USER 1000:1000
ENTRYPOINT [\"/opa\"]"
image "docker.io/$(named compose.yaml 'otel/opentelemetry-collector-contrib:[0-9.]+')" "FROM $base
COPY otelcol /otelcol-contrib
USER 10001
ENTRYPOINT [\"/otelcol-contrib\"]"

podman --version
"$folder/compose/bin/podman-compose" --version | sed -n 1p
podman images --format '{{.Repository}}:{{.Tag}} {{.Size}}'
