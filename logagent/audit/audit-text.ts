import type { Audit, AuditRow } from "./audit.ts";

const COLUMNS = [
  "ID",
  "SIZE",
  "SEEN",
  "READ",
  "FRAMED",
  "ACKED",
  "HELD",
  "LOST",
  "UNKNOWN",
  "DROPPED",
  "TRUNCATED",
  "REFUSED",
] as const;

/** The table: a row for each content of a file, one for those long gone, and the totals. */
export function auditText({ rows, removed, totals, unaccounted }: Audit): string {
  const lines = [
    ["PATH", ...COLUMNS, "STATE"],
    ...rows.map(cellsOf),
    ...(removed.files === 0
      ? []
      : [figures(`${removed.files} long gone`, { ...removed, held: 0, id: "", size: undefined }, "")]),
    figures(`total of ${totals.files}`, { ...totals, id: "", size: undefined }, ""),
  ];
  const widths = lines[0]?.map((_, column) =>
    Math.max(...lines.map((line) => [...(line[column] ?? "")].length)),
  );
  const table = lines.map((line) => line.map((cell, column) => padded(cell, column, widths?.[column] ?? 0)));
  const text = table.map((line) => `${line.join("  ").trimEnd()}\n`).join("");
  const { records, bytes, unknown } = unaccounted;
  if (records === 0) return text;
  return (
    `${text}Not in these sums: ${bytes} bytes and ${unknown} losses of unknown extent, in ${records} loss records that were written ` +
    "since the checkpoints, or right before the agent died\n"
  );
}

type Figures = Omit<AuditRow, "path" | "entry" | "topic" | "state">;

function cellsOf(row: AuditRow): string[] {
  return figures(row.path, row, row.state);
}

function figures(name: string, row: Figures, state: string): string[] {
  const { id, size, seen, read, framed, acked, held, lost, lossesUnknown } = row;
  const { linesDropped, bytesTruncated, bytesRefused } = row;
  const bytes = [seen, read, framed, acked, held, lost];
  const numbers = [...bytes, lossesUnknown, linesDropped, bytesTruncated, bytesRefused].map(String);
  return [name, id, size === undefined ? "-" : `${size}`, ...numbers, state];
}

/** Names to the left, numbers to the right. */
function padded(cell: string, column: number, width: number): string {
  const space = " ".repeat(width - [...cell].length);
  return column >= 2 && column <= COLUMNS.length ? space + cell : cell + space;
}
