import type { Logger } from '../telemetry/logger.js'

/** One line that was logged. */
export interface LogRecord {
  readonly level: 'debug' | 'info' | 'warn' | 'error'
  readonly details: Readonly<Record<string, unknown>>
  readonly message: string
}

/** A logger that remembers, for tests that look at what an operator would see. */
export class RecordingLogger implements Logger {
  readonly records: LogRecord[] = []

  debug(details: LogRecord['details'], message: string): void {
    this.records.push({ level: 'debug', details, message })
  }

  info(details: LogRecord['details'], message: string): void {
    this.records.push({ level: 'info', details, message })
  }

  warn(details: LogRecord['details'], message: string): void {
    this.records.push({ level: 'warn', details, message })
  }

  error(details: LogRecord['details'], message: string): void {
    this.records.push({ level: 'error', details, message })
  }
}
