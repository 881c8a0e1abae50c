import { assertOptions, KestConfigError } from '@kest/core'
import type { AuditFinding } from '../finding.js'
import { splitByLinks } from '../group/split-by-links.js'
import type { ExportedSpan } from '../span/exported-span.js'
import { type JudgedLineage, judgeLineages, type LineageSource } from './judge-lineages.js'
import type { SequenceRules } from './open-sequence.js'
import {
  JUDGE_OPTIONS,
  type JudgeOptions,
  type JudgeRules,
  resolveJudgeOptions,
  rulesInForce,
  traceBytesOf,
} from './options.js'

/** How a {@link TraceJudge} judges. */
export interface TraceJudgeOptions extends JudgeOptions {
  /**
   * The entries of one trace may take eight times so many bytes, and at least 16,777,216, while it is judged; of a larger one the rest
   * is a finding `limit`. Default 67,108,864.
   */
  readonly memory?: number
}

/**
 * Judges traces as an {@link Audit} does, for whoever keeps their spans himself: because they come for ever, or lie elsewhere. What is
 * found over all traces, such as gaps in the numbers of a process, is not: for that there are {@link factsOf} and {@link OpenSequences}.
 *
 * @example
 * ```ts
 * const judge = new TraceJudge({ trust })
 * for await (const { report } of judge.judge({ lineages: () => [{ id, traceId, spans }], entries: async function* () {} }))
 *   console.log(report.verdict)
 * ```
 */
export class TraceJudge {
  readonly #rules: JudgeRules
  readonly #isPresent: boolean

  /** @throws {KestConfigError} for options that are unknown or wrong */
  constructor(options: TraceJudgeOptions) {
    assertOptions('trace judge', options, [...JUDGE_OPTIONS, 'memory'])
    const { memory = 67_108_864 } = options
    if (!Number.isSafeInteger(memory) || memory < 1)
      throw new KestConfigError(`trace judge: memory: expected bytes, got ${String(memory)}`)
    this.#rules = resolveJudgeOptions(options, traceBytesOf(memory))
    this.#isPresent = options.now === undefined
  }

  /**
   * @param note told of what is of no lineage
   * @throws {KestError} what key sources throw that is about no entry; {@link JudgeOptions.trust} as a function, at once
   */
  judge(source: LineageSource, note: (one: AuditFinding) => void = () => {}): AsyncGenerator<JudgedLineage> {
    const rules = rulesInForce(this.#rules)
    return judgeLineages(source, this.#isPresent ? { ...rules, now: Date.now() } : rules, note)
  }

  /** How numbers of processes are judged: by the same options. */
  get sequenceRules(): SequenceRules {
    const { shared, maxDelayMs } = this.#rules
    return { shared, maxDelayMs }
  }

  /** Parts spans that name no trace into lineages: entries hang together by their links alone; what is no entry comes last. */
  split(spans: readonly ExportedSpan[]): ExportedSpan[][] {
    const signatures = spans.map(({ claims: { signature } }, at) => {
      return [at, typeof signature === 'string' ? signature : undefined] as const
    })
    const parts = splitByLinks(signatures, this.#rules.limits)
    return parts.map((part) => part.map((at) => spans[at] as ExportedSpan))
  }
}
