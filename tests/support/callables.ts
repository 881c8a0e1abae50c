import { existsSync } from 'node:fs'
import { join } from 'node:path'
import ts from 'typescript'
import { packageFolders, readJson, root } from '../../scripts/workspace.mjs'

interface Manifest {
  readonly name: string
  readonly private?: boolean
  readonly exports?: Record<string, string | { readonly types?: string }>
}

/**
 * Everything public that is called with an object of which something may be left out: `@kest/core.createKest`,
 * `new @kest/core.MemoryCache`, `@kest/core.Kest#inject`, each with the position of the argument, as the types say.
 */
export function callablesWithOptions(): readonly string[] {
  const entries = packageFolders().flatMap((folder) => entriesOf(folder))
  const program = ts.createProgram(
    entries.map(({ file }) => file),
    {
      module: ts.ModuleKind.NodeNext,
      moduleResolution: ts.ModuleResolutionKind.NodeNext,
      strict: true,
      skipLibCheck: true,
      types: ['node'],
    },
  )
  const checker = program.getTypeChecker()
  const found = new Set<string>()

  function add(name: string, signatures: readonly ts.Signature[]): void {
    for (const { parameters } of signatures) {
      for (const [index, parameter] of parameters.entries())
        if (isOptions(checker.getTypeOfSymbol(parameter), checker)) found.add(`${name} ${index}`)
    }
  }

  for (const { name, file } of entries) {
    const source = program.getSourceFile(file)
    const module = source && checker.getSymbolAtLocation(source)
    if (module === undefined) throw new Error(`${file} has no exports: is it built?`)
    for (const exported of checker.getExportsOfModule(module)) {
      const symbol = exported.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(exported) : exported
      if (!(symbol.flags & ts.SymbolFlags.Value)) continue
      const type = checker.getTypeOfSymbol(symbol)
      const full = `${name}.${symbol.name}`
      add(full, type.getCallSignatures())
      add(`new ${full}`, type.getConstructSignatures())
      if (!(symbol.flags & ts.SymbolFlags.Class)) continue
      for (const member of type.getProperties())
        if (member.name !== 'prototype' && member.name !== 'prepareStackTrace')
          add(`${full}.${member.name}`, checker.getTypeOfSymbol(member).getCallSignatures())
      for (const member of checker.getDeclaredTypeOfSymbol(symbol).getProperties())
        add(`${full}#${member.name}`, checker.getTypeOfSymbol(member).getCallSignatures())
    }
  }
  return [...found].sort()
}

function entriesOf(folder: string): readonly { readonly name: string; readonly file: string }[] {
  const manifest = readJson(join(root, folder, 'package.json')) as Manifest
  if (manifest.private === true) return []
  return Object.entries(manifest.exports ?? {}).flatMap(([path, target]) => {
    const types = typeof target === 'string' ? undefined : target.types
    const file = types === undefined ? '' : join(root, folder, types)
    return existsSync(file) ? [{ name: `${manifest.name}${path.slice(1)}`, file }] : []
  })
}

/** An object of data of which something is optional: no function, no list, nothing with methods of its own. */
function isOptions(type: ts.Type, checker: ts.TypeChecker): boolean {
  if (type.isUnion()) return type.types.some((one) => isOptions(one, checker))
  if (!(type.flags & ts.TypeFlags.Object) && !type.isIntersection()) return false
  if (checker.isArrayLikeType(type) || type.getCallSignatures().length > 0) return false
  if (type.getStringIndexType() !== undefined) return false
  const optional = (symbol: ts.Symbol) => (symbol.flags & ts.SymbolFlags.Optional) !== 0
  const members = type.getProperties()
  return (
    members.some(optional) &&
    members.every((member) => optional(member) || !(member.flags & ts.SymbolFlags.Method))
  )
}
