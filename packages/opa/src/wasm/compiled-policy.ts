import { KestConfigError } from '@kest/core'
import * as library from '@open-policy-agent/opa-wasm'
import type { Builtin } from './time-builtins.js'

type LoadedPolicy = library.LoadedPolicy
/** The library's ES module has it in its default export, and its types have that not. */
const { loadPolicySync } = (library as unknown as { readonly default: typeof library }).default

const PAGE_BYTES = 65_536
/** Those of opa-wasm that policies may call. */
const BROUGHT = ['json.is_valid', 'sprintf', 'yaml.marshal']
/**
 * Those of opa-wasm that decide otherwise than OPA's: JavaScript's patterns, which can take for ever, and another YAML. The
 * library calls its own before any other, so that none can be given in their place.
 */
const UNLIKE = ['regex.split', 'yaml.is_valid', 'yaml.unmarshal']
/** In UTF-8, of one unit of a JavaScript string. */
const MOST_BYTES_PER_UNIT = 3
/** The results of an entry point that is `true`, as they lie in memory. */
const TRUE = Buffer.from('[{"result":true}]\0')

/** Functions that cannot be given: the library's own would be called. */
export const FIXED_BUILTINS: readonly string[] = [...BROUGHT, ...UNLIKE]

/** What `opa build -t wasm` exports, as far as it is used here: version 1.2 of its ABI. */
interface Exports {
  builtins(): number
  opa_json_dump(value: number): number
  opa_eval(
    reserved: 0,
    entrypoint: number,
    data: number,
    input: number,
    inputLength: number,
    heap: number,
    format: 0,
  ): number
}

/** What policies are run with. */
export interface PolicySurroundings {
  /** JSON. */
  readonly data: string
  readonly builtins: Readonly<Record<string, Builtin>>
  readonly maxMemoryBytes: number
  /** Stands in for functions that the policies call, and that are not there. Without it such policies are refused. */
  readonly standIn?: (name: string) => Builtin
}

/**
 * A module of compiled policies with its data, ready to be asked.
 *
 * The library instantiates, gives it data and serves its built-in functions. Asking is done here: the input is written
 * once for several questions, and a plain `true` is read without making an object of it. Each question begins with the
 * same heap, so that memory does not grow with their number.
 */
export class CompiledPolicy {
  readonly #make: () => LoadedPolicy
  #policy: LoadedPolicy
  #exports: Exports
  #memory: Buffer
  #broken = false
  /** Functions that the policies call and that are not in the module. */
  readonly called: readonly string[]

  /** @throws {KestConfigError} when it is of another ABI, needs functions that are not there, or does not fit */
  constructor(
    module: WebAssembly.Module,
    { data, builtins: given, maxMemoryBytes, standIn }: PolicySurroundings,
  ) {
    const maximum = Math.floor(maxMemoryBytes / PAGE_BYTES)
    let builtins = given
    this.#make = () => {
      const policy = loadWithin(module, maximum, builtins)
      const { buffer, byteOffset, byteLength } = new TextEncoder().encode(data)
      policy.setData(buffer.slice(byteOffset, byteOffset + byteLength))
      return policy
    }
    try {
      this.#policy = this.#make()
    } catch (cause) {
      throw new KestConfigError(`the policies cannot be loaded: ${messageOf(cause)}`, { cause })
    }
    if (!(this.#policy.minorVersion >= 2)) {
      throw new KestConfigError('the policies were compiled by an OPA that is too old (ABI 1.2 is needed)')
    }
    this.#exports = exportsOf(this.#policy)
    this.#memory = Buffer.from(this.#policy.mem.buffer)
    this.called = this.#builtins()
    const unlike = this.called.filter((name) => UNLIKE.includes(name))
    if (unlike.length > 0) {
      throw new KestConfigError(`the policies call ${unlike.join(', ')}, which is not that of OPA here`)
    }
    const missing = this.called.filter((name) => !BROUGHT.includes(name) && !Object.hasOwn(given, name))
    if (missing.length === 0) return
    if (standIn === undefined) {
      throw new KestConfigError(
        `the policies call ${missing.join(', ')}, which the option "builtins" does not have`,
      )
    }
    builtins = { ...given, ...Object.fromEntries(missing.map((name) => [name, standIn(name)])) }
    this.#renew()
  }

  /** Paths that can be asked for, sorted. */
  get entrypoints(): readonly string[] {
    return Object.keys(this.#policy.entrypoints).sort()
  }

  /** The number by which a path is asked for; `undefined` when it cannot be. */
  entrypoint(path: string): number | undefined {
    const { entrypoints } = this.#policy
    return Object.hasOwn(entrypoints, path) ? (entrypoints[path] as number) : undefined
  }

  /** Bytes that it holds now; grows with the largest question, and never beyond its bound. */
  get memoryBytes(): number {
    return this.#policy.mem.buffer.byteLength
  }

  /**
   * Puts a question in place. What it answers asks it of one entry point, and is good until the next question.
   *
   * @returns asks; it answers the document, `undefined` when there is none, and throws what went wrong
   */
  ask(input: string): (entrypoint: number) => unknown {
    if (this.#broken) this.#renew()
    const policy = this.#policy
    const { opa_eval } = this.#exports
    const inputAt = policy.dataHeapPtr as number
    this.#reserve(inputAt + input.length * MOST_BYTES_PER_UNIT)
    const length = this.#view().write(input, inputAt)
    return (entrypoint) => {
      let at: number
      try {
        at = opa_eval(0, entrypoint, policy.dataAddr, inputAt, length, inputAt + length, 0)
      } catch (cause) {
        // The stack of the module was not unwound: some hundred of these, and it would trap for ever.
        this.#broken = true
        throw new Error(messageOf(cause), { cause })
      }
      return this.#isTrueAt(at) ? true : documentOf(this.#textAt(at))
    }
  }

  #renew(): void {
    this.#policy = this.#make()
    this.#exports = exportsOf(this.#policy)
    this.#memory = Buffer.from(this.#policy.mem.buffer)
    this.#broken = false
  }

  /** @throws {RangeError} when memory may not grow so far */
  #reserve(bytes: number): void {
    const missing = bytes - this.#view().length
    if (missing > 0) this.#policy.mem.grow(Math.ceil(missing / PAGE_BYTES))
  }

  /** Growing memory detaches what looked at it, which has no length then. */
  #view(): Buffer {
    if (this.#memory.length === 0) this.#memory = Buffer.from(this.#policy.mem.buffer)
    return this.#memory
  }

  /** What most questions are answered; nothing is made to find out. */
  #isTrueAt(address: number): boolean {
    const memory = this.#view()
    for (let i = 0; i < TRUE.length; i++) if (memory[address + i] !== TRUE[i]) return false
    return true
  }

  #textAt(address: number): string {
    const memory = this.#view()
    return memory.toString('utf8', address, memory.indexOf(0, address))
  }

  #builtins(): string[] {
    const { builtins, opa_json_dump } = this.#exports
    return Object.keys(JSON.parse(this.#textAt(opa_json_dump(builtins()))))
  }
}

/** Begins with a sixteenth of what it may have; a module does not say how much it wants before it is given too little. */
function loadWithin(
  module: WebAssembly.Module,
  maximum: number,
  builtins: PolicySurroundings['builtins'],
): LoadedPolicy {
  for (let initial = Math.ceil(maximum / 16); ; initial = Math.min(2 * initial, maximum)) {
    try {
      return loadPolicySync(module, { initial, maximum }, { ...builtins })
    } catch (error) {
      if (!(error instanceof WebAssembly.LinkError) || initial === maximum) throw error
    }
  }
}

function exportsOf({ wasmInstance }: LoadedPolicy): Exports {
  return (wasmInstance as WebAssembly.Instance).exports as unknown as Exports
}

/** What a set of results holds; one entry point has one result at most. */
function documentOf(results: string): unknown {
  const [first] = JSON.parse(results) as readonly { readonly result?: unknown }[]
  return first?.result
}

/** The library throws strings, and objects that are no errors. */
function messageOf(thrown: unknown): string {
  if (typeof thrown === 'object' && thrown !== null && 'message' in thrown) return String(thrown.message)
  return String(thrown)
}
