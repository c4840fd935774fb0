import { existsSync, readFileSync } from "node:fs";

/** The version of the logagent package; from a clone and from a built package alike. */
export function packageVersion(): string {
  // Beside base/ in a clone, one folder further up from dist/base/.
  const candidates = ["../package.json", "../../package.json"].map((path) => new URL(path, import.meta.url));
  const found = candidates.find((url) => existsSync(url));
  if (found === undefined) return "unknown";
  const { version } = JSON.parse(readFileSync(found, "utf8")) as { readonly version: string };
  return version;
}
