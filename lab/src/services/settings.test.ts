import { expect, it } from 'vitest'
import { readSettings, required } from './settings.js'

it('serves on the loopback, port 8000, and knows of nobody, unless told otherwise', () => {
  expect(readSettings({})).toEqual({
    host: '127.0.0.1',
    port: 8000,
    next: null,
    mtls: false,
    opa: null,
    opaPlans: false,
    regoWasm: null,
    collector: null,
    exporter: 'otlp',
    patience: 1,
  })
})

it('is told by the environment', () => {
  const env = {
    HOST: '0.0.0.0',
    PORT: '0',
    NEXT_URL: 'http://hop2:8000',
    OPA_URL: 'http://opa:8181',
    OTEL_EXPORTER_OTLP_ENDPOINT: 'http://collector:4318',
  }
  const { host, port, next, opa, collector } = readSettings(env)
  expect([host, port, next?.origin, opa?.origin, collector?.origin]).toEqual([
    '0.0.0.0',
    0,
    env.NEXT_URL,
    env.OPA_URL,
    env.OTEL_EXPORTER_OTLP_ENDPOINT,
  ])
})

it.each([
  [{ PORT: '65536' }, /^PORT/],
  [{ PORT: '80a' }, /^PORT/],
  [{ NEXT_URL: 'hop2' }, /^NEXT_URL/],
  [{ OPA_PLANS: '1' }, /^OPA_PLANS/],
  [{ OTEL_TRACES_EXPORTER: 'console' }, /^OTEL_TRACES_EXPORTER/],
  [{ PATIENCE: '0' }, /^PATIENCE/],
])('refuses %j, and names the variable', (env, message) => {
  expect(() => readSettings(env)).toThrow(message)
})

it('names what a service cannot do without', () => {
  expect(() => required(readSettings({}).next, 'NEXT_URL')).toThrow(/^NEXT_URL/)
})
