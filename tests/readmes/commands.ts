const MANUAL = 'as printed, with files of its own: tests/readmes/command-line.once.test.ts'

/**
 * How each block of commands in a README is tested, by its page and first line. `installed`: tests/live/readmes.live.test.ts runs it
 * on every Node; `followed`: first-hour.ts; `run`: commands.once.test.ts; `ci`: `.ci/run` has each line. Else, why it is run nowhere,
 * and what shows the same.
 */
export const COMMANDS: Readonly<Record<string, string>> = {
  'README.md: npm start': 'ci',
  'README.md: npx kest verify examples/three-hop/out/evidence.json': 'run',
  'README.md: npm init -y': 'followed',
  'README.md: npm install @kest/core @kest/spiffe @kest/telemetry': 'installed',
  'README.md: npx kest dev': 'followed',
  'README.md: curl http://127.0.0.1:8001/orders/1': 'followed',
  'README.md: npm install @kest/core @kest/spiffe @kest/opa': 'installed',
  'packages/audit/README.md: npm install': 'installed',
  'packages/cedar/README.md: npm install': 'installed',
  'packages/cli/README.md: npm install': 'installed',
  'packages/cli/README.md: kest verify order-4711.json': MANUAL,
  'packages/cli/README.md: $ kest verify order-4711.json': MANUAL,
  'packages/cli/README.md: kest audit spans/': MANUAL,
  'packages/cli/README.md: $ kest audit spans.jsonl': MANUAL,
  'packages/cli/README.md: kest replay --what-if': MANUAL,
  'packages/cli/README.md: kest evidence spans/': MANUAL,
  'packages/cli/README.md: kest graph order-4711.json': MANUAL,
  'packages/cli/README.md: $ kest show order-4711.json': MANUAL,
  'packages/cli/README.md: kest deploy check kest.yaml': MANUAL,
  'packages/cli/README.md: $ kest deploy check kest.yaml': MANUAL,
  'packages/cli/README.md: npx kest dev': MANUAL,
  'packages/cli/README.md: kest init payments': MANUAL,
  'packages/cli/README.md: kest dev --workloads orders -- kest doctor': MANUAL,
  'packages/cli/README.md: $ kest dev --workloads orders -- kest doctor': MANUAL,
  'packages/cli/README.md: kest policies plan': MANUAL,
  'packages/cli/README.md: kest completion bash': MANUAL,
  'packages/core/README.md: npm install': 'installed',
  'packages/express/README.md: npm install': 'installed',
  'packages/fastify/README.md: npm install': 'installed',
  'packages/fleet/README.md: npm install': 'installed',
  'packages/grpc/README.md: npm install': 'installed',
  'packages/http/README.md: npm install': 'installed',
  'packages/mcp/README.md: npm install': 'installed',
  'packages/nestjs/README.md: npm install': 'installed',
  'packages/opa/README.md: npm install': 'installed',
  'packages/messaging/README.md: npm install': 'installed',
  'packages/redis/README.md: npm install': 'installed',
  'packages/opa/README.md: kest policies plan':
    'policies of the reader’s, and OPA: packages/opa/live/plans.live.test.ts',
  'packages/spiffe/README.md: npm install': 'installed',
  'packages/spiffe/README.md: SPIFFE_ENDPOINT_SOCKET=':
    'a SPIRE of the reader’s: packages/spiffe/live/spire.live.test.ts',
  'packages/spiffe/README.md: spire-server entry create':
    'a SPIRE of the reader’s: packages/spiffe/live/spire.live.test.ts',
  'packages/telemetry/README.md: npm install': 'installed',
  'packages/undici/README.md: npm install': 'installed',
  'examples/agent/README.md: npm run example:agent':
    'what it prints is looked at: examples/agent/tests/agent.test.ts',
  'examples/concurrency/README.md: npm run setup': 'run',
  'examples/three-hop/README.md: npm start': 'ci',
  'examples/three-hop/README.md: parent=':
    'a SPIRE of the reader’s: examples/three-hop/tests/identities.test.ts',
  'lab/README.md: scripts/live-tools.sh':
    'tools that take minutes to build: lab/live/demonstration.live.test.ts',
  'bench/README.md: npm run bench  ': 'it measures: bench/src/bench.once.test.ts',
  'bench/README.md: npm run bench -- --filter refusal': 'it measures: bench/src/bench.once.test.ts',
  'bench/README.md: node --cpu-prof': 'it measures: bench/src/bench.once.test.ts',
  'deploy/kubernetes/README.md: kubectl apply -k deploy/kubernetes-kafka':
    'a cluster of the reader’s, and its brokers: lab/tests/kubernetes-kafka.test.ts',
  'deploy/kubernetes/README.md: kubectl apply': 'a cluster of the reader’s: lab/tests/kubernetes.test.ts',
  'docker/README.md: docker compose -f docker/compose.yaml up':
    'an engine of containers: lab/live/containers.live.test.ts',
  'docker/README.md: docker compose -f docker/compose.yaml -f docker/compose.mtls.yaml up':
    'an engine of containers: lab/live/containers.live.test.ts',
  'docker/README.md: docker compose -f docker/compose.yaml -f docker/compose.kafka.yaml up':
    'an image of Kafka, which cannot be had here: lab/tests/compose-kafka.test.ts',
  'docker/README.md: docker run --rm --network kest_log':
    'an image of Kafka, which cannot be had here: packages/fleet/live/fleet.live.test.ts',
  'docker/README.md: docker compose -f docker/compose.yaml cp':
    'an engine of containers: lab/live/containers.live.test.ts',
  'docker/README.md: docker build -f docker/Dockerfile --target kest -t kest .':
    'an engine of containers: lab/live/containers.live.test.ts',
  'docker/README.md: for build in first second; do':
    'minutes; the times of what is in the image are looked at: lab/live/containers.live.test.ts',
  'docker/README.md: docker build -f docker/Dockerfile --target sbom':
    'an engine of containers: lab/live/containers.live.test.ts',
  'docker/README.md: docker build -f docker/Dockerfile --target demonstration':
    'an engine of containers: lab/live/containers.live.test.ts',
}
