import { parseOwnPeerUrls } from "./peer-urls.ts";
import { UsageError } from "./store-command-line.ts";

/** The members of `--initial-cluster`: name → peer URLs, sorted. */
export type InitialCluster = ReadonlyMap<string, readonly string[]>;

/**
 * Reads "<name>=<peer URL>,…"; a name that comes several times has several URLs (etcd client/pkg/types NewURLsMap). Throws
 * UsageError with etcd's words.
 */
export function parseInitialCluster(text: string): InitialCluster {
  const textsByName = new Map<string, string[]>();
  for (const part of text.split(",")) {
    if (part === "") continue;
    const at = part.indexOf("=");
    const name = at === -1 ? part : part.slice(0, at);
    textsByName.set(name, [...(textsByName.get(name) ?? []), at === -1 ? "" : part.slice(at + 1)]);
  }
  const cluster = new Map<string, readonly string[]>();
  for (const [name, texts] of textsByName) {
    const parsed = parseOwnPeerUrls(texts);
    if ("problem" in parsed) throw new UsageError(`error setting up initial cluster: ${parsed.problem}`);
    cluster.set(name, parsed.urls);
  }
  return cluster;
}
