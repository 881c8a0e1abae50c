import { Admin } from '@platformatic/kafka'
import type { clientOptions } from './kafka-options.js'
import { closed } from './kafka-records.js'

/** What only an administrator's client asks, by one that is there for it alone. */
export async function withAdmin<T>(
  options: ReturnType<typeof clientOptions>,
  work: (admin: Admin) => Promise<T>,
): Promise<T> {
  const admin = new Admin({ ...options, retries: 3, retryDelay: 100 })
  // What it has to say is what the work throws.
  admin.on('error', () => {})
  try {
    return await work(admin)
  } finally {
    // Unlike the others it is not told to hurry: what it takes is a callback.
    await closed({ close: () => admin.close() })
  }
}
