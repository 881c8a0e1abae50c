import { type Logger, stderrLogger } from '@kest/core'

/** The same logger, but what it throws at is told on stderr: neither does the export end by it, nor is a loss silent. */
export function sturdyLogger(logger: Logger): Logger {
  const log =
    (level: keyof Logger): Logger[typeof level] =>
    (details, message) => {
      try {
        logger[level](details, message)
      } catch (error) {
        stderrLogger[level]({ ...details, logger_err: String(error) }, message)
      }
    }
  return { debug: log('debug'), info: log('info'), warn: log('warn'), error: log('error') }
}
