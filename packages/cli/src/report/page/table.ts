/** A cell of markup that is safe already. */
export type Cell = string

export interface Column {
  readonly title: string
  /** Numbers are set to the right. */
  readonly number?: boolean
}

export interface Row {
  readonly id?: string
  readonly cells: readonly Cell[]
}

/** Rows that are listed; the others are counted. */
export const MAX_ROWS = 200

/**
 * A table whose first column names its rows. Where a screen is narrow each row is a list of its cells; roles say that it is a table
 * still.
 *
 * @param caption what it is of, in text that is safe already
 */
export function tableElement(
  caption: string,
  columns: readonly Column[],
  rows: readonly Row[],
  more = rows.length - MAX_ROWS,
): string {
  const head = columns.map(
    ({ title, number }) => `<th role="columnheader" scope="col"${classOf(number)}>${title}</th>`,
  )
  const body = rows.slice(0, MAX_ROWS).map(({ id, cells }) => {
    const all = cells.map((cell, i) => {
      const { title = '', number } = columns[i] ?? {}
      if (i === 0) return `<th role="rowheader" scope="row">${cell}</th>`
      return `<td role="cell" data-title="${title}"${classOf(number)}>${cell === '' ? '' : `<span>${cell}</span>`}</td>`
    })
    return `<tr role="row"${id === undefined ? '' : ` id="${id}" tabindex="-1"`}>${all.join('')}</tr>`
  })
  const rest =
    more > 0 ? `<p class="help">and ${more.toLocaleString('en')} more, which are not listed</p>` : ''
  return `<div class="table" role="region" aria-label="${caption}" tabindex="0"><table role="table"><caption>${caption}</caption><thead role="rowgroup"><tr role="row">${head.join('')}</tr></thead><tbody role="rowgroup">${body.join('')}</tbody></table></div>${rest}`
}

function classOf(number: boolean | undefined): string {
  return number === true ? ' class="number"' : ''
}
