// The trusted chain on real servers: starts them, is a client, then the auditor, who has nothing but the Collector's file
// and the trust bundle; and stops everything, whichever way it ends.
import { inspect } from 'node:util'
import { type Arguments, parseArguments, USAGE } from './arguments.js'
import { describeLoad, sendLoad } from './client/load.js'
import { demonstrate } from './demonstration.js'
import { Failure } from './failure.js'
import { takeFolder } from './folder.js'
import { Lab } from './lab.js'
import { prove, proveOnKafka, untilExported } from './prove.js'
import { Report } from './report.js'
import { MEMORY_PROBE, soak } from './soak.js'
import { Watch } from './supervisor/watch.js'

process.exitCode = await main(process.argv.slice(2))

async function main(argv: readonly string[]): Promise<number> {
  let wanted: Arguments
  try {
    wanted = parseArguments(argv)
  } catch (error) {
    console.error(`lab: ${(error as Error).message}`)
    return 2
  }
  if (wanted.help) {
    console.log(USAGE)
    return 0
  }
  const watch = new Watch()
  const report = new Report(wanted.json)
  process.stdout.on('error', ({ message }) => watch.giveUp(new Failure(`standard output: ${message}`)))
  try {
    await run(wanted, report, watch)
    report.end(null)
    return 0
  } catch (error) {
    // When it was given up, that is the reason, and not what came of it.
    const reason: unknown = watch.signal.aborted ? watch.signal.reason : error
    const message = reason instanceof Failure ? reason.message : inspect(reason)
    console.error(`\nlab: ${message}`)
    report.end(message)
    return watch.exitCode ?? (reason instanceof Failure ? reason.exitCode : 1)
  } finally {
    watch.end()
  }
}

async function run(wanted: Arguments, report: Report, watch: Watch): Promise<void> {
  const folder = await takeFolder(wanted.out)
  try {
    await runIn(folder.path, wanted, report, watch)
  } finally {
    await folder.release()
  }
}

async function runIn(out: string, wanted: Arguments, report: Report, watch: Watch): Promise<void> {
  const lab = await Lab.start(
    {
      ...wanted,
      out,
      announce(identities) {
        report.say(`Identities: ${identities}`)
        report.fact('identities', identities)
      },
      progress,
      ...(wanted.soakSeconds > 0 ? { nodeOptions: MEMORY_PROBE } : {}),
    },
    watch,
  )
  try {
    for (const { name, pid, url } of lab.places) report.say(`${name}: ${url}, process ${pid}`)
    report.fact('places', lab.places)
    await demonstrate(lab, report)
    let answered = 1
    if (wanted.requests > 0) answered += await load(lab, wanted, report)
    if (wanted.soakSeconds > 0) answered += await soak(lab, wanted, report, progress)
    const exhibits = { spansFile: lab.spansFile, bundle: await lab.identities.bundle(), answered, out }
    const judged = async (): Promise<void> => {
      if (!wanted.kafka) return
      progress('waiting for the auditors on Kafka')
      await proveOnKafka(exhibits, lab.auditorLogs, report, watch)
    }
    if (wanted.keep) {
      await untilExported(exhibits, watch)
      await prove(exhibits, report)
      await judged()
      await keep(lab, report)
      await lab.stop()
    } else {
      await lab.stop()
      progress('auditing')
      await prove(exhibits, report)
      await judged()
    }
    await lab.stopAuditors()
  } finally {
    await lab.close()
  }
}

/** Apart from what the lab reports: for whoever waits. */
function progress(text: string): void {
  console.error(`  ${text}`)
}

async function load(lab: Lab, { requests, concurrency }: Arguments, report: Report): Promise<number> {
  const { urls, watch } = lab
  const result = await sendLoad({
    ...{ url: urls.hop1, concurrency, progress, signal: watch.signal },
    amount: { requests },
  })
  report.say(`\n${requests} requests, ${concurrency} at once: ${describeLoad(result)}`)
  report.fact('load', { concurrency, ...result })
  if (result.failed > 0) throw new Failure(`${result.failed} requests failed: ${result.failures.join('; ')}`)
  return result.requests
}

/** Until somebody interrupts it, which is how it should end. */
async function keep(lab: Lab, report: Report): Promise<void> {
  const { watch } = lab
  lab.goOnWithout(({ message }) => report.say(message))
  report.say('All of it keeps running. Ctrl-C stops it.')
  await watch.wait(new Promise(() => {})).catch((reason: unknown) => {
    if (watch.exitCode === undefined) throw reason
  })
}
