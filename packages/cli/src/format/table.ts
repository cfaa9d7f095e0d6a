/** Columns two spaces apart, as wide as their longest cell; cells that are all numbers stand on the right. */
export function formatTable(headers: readonly string[], rows: readonly (readonly string[])[]): string {
  const columns = headers.map((header, column) => {
    const cells = rows.map((row) => row[column] ?? '');
    const width = Math.max(displayWidth(header), ...cells.map(displayWidth));
    return { width, right: cells.length > 0 && cells.every((cell) => NUMBER.test(cell)) };
  });
  const line = (cells: readonly string[]) =>
    columns
      .map(({ width, right }, column) => pad(cells[column] ?? '', width, right))
      .join('  ')
      .trimEnd();
  return [line(headers), line(columns.map(({ width }) => '─'.repeat(width))), ...rows.map(line)].join('\n');
}

/** `12`, `0.9`, `35 ms`, `40 %`, and `–` for what is not known. */
const NUMBER = /^(?:[\d,.]+(?: ?(?:ms|s|%|MB|KB|MiB|KiB|B))?|–)?$/;

export function pad(text: string, width: number, right = false): string {
  const space = ' '.repeat(Math.max(width - displayWidth(text), 0));
  return right ? space + text : text + space;
}

/** Terminal cells of a text: East Asian wide characters take two, combining marks none. */
export function displayWidth(text: string): number {
  let width = 0;
  for (const character of text) width += /\p{Mark}/u.test(character) ? 0 : WIDE.test(character) ? 2 : 1;
  return width;
}

const WIDE =
  /[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{1f300}-\u{1faff}\u{20000}-\u{3fffd}]/u;
