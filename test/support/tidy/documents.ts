import path from "node:path";

const TOP_FOLDERS = ["base", "conf", "store", "logagent", "ctl", "test", "bench", "deploy", "docs", ".ci"];

/**
 * The paths of the project that a Markdown text names: links to files, names in backticks, and the left column of a
 * folder list in a code block. Each from the project's root, without line or anchor, up to the first wildcard.
 *
 * @param file where the text stands, from the root: its links are relative to it
 */
export function pathsNamed(file: string, text: string): string[] {
  const found: string[] = [];
  for (const [, target = ""] of text.matchAll(/\]\(([^)\s]+)\)/g)) {
    if (/^[a-z]+:|^#/.test(target)) continue;
    found.push(path.posix.join(path.posix.dirname(file), withoutPosition(target)));
  }
  for (const [, name = ""] of text.matchAll(/`([^`\s]+)`/g)) {
    if (startsInProject(name)) found.push(withoutPosition(name));
  }
  for (const [, name = ""] of text.matchAll(/^([a-z.]+\/)\s{2,}\S/gm)) {
    if (startsInProject(name)) found.push(name);
  }
  return [...new Set(found.map(withoutWildcard))];
}

/**
 * The places where a text tells on the machine it was written on.
 *
 * @param folders absolute folders that mean something on this machine only
 */
export function machinePaths(text: string, folders: readonly string[]): string[] {
  return folders.filter((folder) => {
    const at = text.indexOf(folder);
    return at !== -1 && !/[\w-]/.test(text[at + folder.length] ?? "");
  });
}

function startsInProject(name: string): boolean {
  return TOP_FOLDERS.some((top) => name.startsWith(`${top}/`)) && !/[<>$%{}]/.test(name);
}

function withoutPosition(name: string): string {
  return name.replace(/#.*$/, "").replace(/:\d+(?:-\d+)?$/, "");
}

function withoutWildcard(name: string): string {
  return /[*…]|\.\.\./.test(name) ? `${path.posix.dirname(name.replace(/(?:[*…]|\.\.\.).*$/, "x"))}/` : name;
}
