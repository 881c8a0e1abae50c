import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'
import { type Browser, chromium, type Page } from 'playwright-core'

/** A page, what it asked anybody for, and what the browser complained of. */
export interface Opened {
  readonly page: Page
  readonly requests: readonly string[]
  readonly complaints: readonly string[]
}

export interface Screen {
  readonly width?: number
  readonly scheme?: 'light' | 'dark'
}

/** What ends by itself on any machine that is only busy. */
const TIMEOUT_MS = 240_000

export async function launch(): Promise<Browser> {
  const args = ['--no-sandbox']
  return await chromium.launch({ executablePath: chromiumOnPath(), args, timeout: TIMEOUT_MS })
}

export async function open(
  browser: Browser,
  url: string,
  { width = 1280, scheme = 'light' }: Screen = {},
): Promise<Opened> {
  const requests: string[] = []
  const complaints: string[] = []
  const page = await browser.newPage({ viewport: { width, height: 800 }, colorScheme: scheme })
  page.setDefaultTimeout(TIMEOUT_MS)
  page.on('request', (request) => requests.push(request.url()))
  page.on('console', (message) => complaints.push(message.text()))
  page.on('pageerror', (error) => complaints.push(error.message))
  page.on('dialog', (dialog) => complaints.push(`a dialog: ${dialog.message()}`))
  await page.goto(url)
  return { page, requests, complaints }
}

/** A missing browser is a failure, never a skip. */
function chromiumOnPath(): string {
  const folders = (process.env['PATH'] ?? '').split(delimiter)
  for (const file of folders.flatMap((path) => [join(path, 'chromium'), join(path, 'chromium-browser')])) {
    try {
      accessSync(file, constants.X_OK)
      return file
    } catch {
      // Not there; another folder may have it.
    }
  }
  throw new Error('these tests need Chromium on PATH: apt-get install chromium')
}
