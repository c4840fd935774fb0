import { agentRows } from "./agent-rows.ts";
import type { Format, FormatOptions } from "./format.ts";
import { hashRows, healthRows, memberRows, type Rows, statusRows } from "./rows.ts";

/** `table`: of the verbs whose results are rows; the others have none, as in etcdctl. */
export function tableFormat(options: FormatOptions): Partial<Format> {
  const write = (rows: Rows) => options.out(drawTable(rows));
  return {
    memberList: (result) => write(memberRows(result)),
    endpointHealth: (list) => write(healthRows(list)),
    endpointStatus: (list) => write(statusRows(list)),
    endpointHash: (list) => write(hashRows(list)),
    agents: (list) => write(agentRows(list, options)),
  };
}

/** A table in etcdctl's looks: headings in capitals and centred, cells to the right, no lines between rows. */
export function drawTable({ header, rows }: Rows): string {
  const heads = header.map((head) => head.toUpperCase().replaceAll("_", " "));
  const widths = heads.map((head, column) =>
    Math.max(width(head), ...rows.map((row) => width(row[column] ?? ""))),
  );
  const rule = (left: string, middle: string, right: string) =>
    `${left}${widths.map((columns) => "─".repeat(columns + 2)).join(middle)}${right}\n`;
  const line = (cells: readonly string[]) => `│ ${cells.join(" │ ")} │\n`;
  const headLine = line(heads.map((head, column) => centre(head, widths[column] ?? 0)));
  const body = rows.map((row) => line(widths.map((columns, column) => right(row[column] ?? "", columns))));
  const between = rows.length === 0 ? "" : rule("├", "┼", "┤");
  return `${rule("┌", "┬", "┐")}${headLine}${between}${body.join("")}${rule("└", "┴", "┘")}`;
}

function width(text: string): number {
  return [...text].length;
}

function right(text: string, columns: number): string {
  return " ".repeat(columns - width(text)) + text;
}

function centre(text: string, columns: number): string {
  const space = columns - width(text);
  const before = Math.floor(space / 2);
  return " ".repeat(before) + text + " ".repeat(space - before);
}
