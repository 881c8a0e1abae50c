import type { IdentityAuthority, KeySource, RootList, TrustDocument } from '@kest/core'
import { type JudgingValues, readJudgingOptions } from '../audit/judging-options.js'
import type { Io } from '../command.js'
import { FollowedFiles, type FollowedFilesOptions } from '../files/followed-files.js'
import { visible } from '../terminal/escape.js'
import { assertStdinOnce, inputsOf, requireTrustOptions, type TrustValues } from './options.js'
import { sourcesOf } from './read.js'

/** A line of what strangers wrote. */
const MAX_MESSAGE = 1_000

/** Whose keys count, and who may begin lineage, as the files say at one time. */
interface InForce {
  readonly given: TrustDocument
  readonly trust: readonly KeySource[]
  readonly roots?: RootList
  readonly identityAuthorities?: readonly IdentityAuthority[]
}

/** As `@kest/audit` asks for it before each judgement. */
export interface LiveJudging {
  readonly trust: () => readonly KeySource[]
  readonly roots?: () => RootList
  readonly identityAuthorities?: readonly IdentityAuthority[]
}

/**
 * The files of `--trust` and `--roots`, for an audit that goes on: authorities change while it does. Nothing of what they said before counts
 * beside what they say now. What becomes of them is said on standard error.
 */
export class FollowedTrust implements Disposable {
  readonly #files: FollowedFiles<InForce>

  private constructor(files: FollowedFiles<InForce>) {
    this.#files = files
  }

  /**
   * @throws {UsageError} when there is no trust material, or something is given twice
   * @throws {InputError} when a file cannot be read, or holds something else
   */
  static async open(
    values: TrustValues & JudgingValues,
    { stdin, stderr }: Io,
    timing: Pick<FollowedFilesOptions<never>, 'lookMs' | 'timeoutMs'> = {},
  ): Promise<FollowedTrust> {
    const paths = inputsOf([], values)
    assertStdinOnce(paths)
    const say = (text: string): void => void stderr.write(`${visible(text.slice(0, MAX_MESSAGE))}\n`)
    const files = await FollowedFiles.open<InForce>({
      paths,
      stdin,
      parse: async (read) => {
        const given = await requireTrustOptions(values, read)
        return { given, trust: await sourcesOf(given), ...(await readJudgingOptions(values, read)) }
      },
      onTaken: () => say(`read again, and counts from now on: ${paths.join(', ')}`),
      onFault: (why) => say(`${why}; what was there before counts, and it is looked at again`),
      ...timing,
    })
    return new FollowedTrust(files)
  }

  /** The keys that count now, as they were given. */
  get given(): TrustDocument {
    return this.#files.current.given
  }

  get judging(): LiveJudging {
    const files = this.#files
    const { roots, identityAuthorities } = files.current
    return {
      trust: () => files.current.trust,
      // A command line that names a file of roots does so for ever.
      ...(roots === undefined ? {} : { roots: () => files.current.roots as RootList }),
      ...(identityAuthorities === undefined ? {} : { identityAuthorities }),
    }
  }

  /** From now on. */
  follow(): void {
    this.#files.follow()
  }

  /** Once, for an audit that judges when it ends. */
  async look(): Promise<void> {
    await this.#files.look()
  }

  [Symbol.dispose](): void {
    this.#files.close()
  }
}
