import path from "node:path";
import { importsOf, runtimeImportsOf, type SourceText } from "./source-text.ts";

/** What stands lower may not import what stands higher; neighbours on one step may import each other. */
const STORE_STEPS: readonly (readonly string[])[] = [
  ["proto"],
  ["raft"],
  ["wal", "snap", "backend"],
  ["mvcc", "lease", "auth", "membership"],
  ["watch"],
  ["apply"],
  ["peer"],
  ["replica"],
  ["server"],
  ["."],
];
const AGENT_STEPS: readonly (readonly string[])[] = [
  ["framing"],
  ["rules"],
  ["checkpoint"],
  ["source", "sink", "audit"],
  ["task", "status", "memory"],
  ["config"],
  ["commands", "."],
];

/** The store's folders that may know an option's schema; those below are given what they need. */
const STORE_FOLDERS_WITH_OPTIONS = ["server", "."];
/** These may use everything, and nothing may use them. */
const OUTSIDE = ["test", "bench", "deploy"];

/** Packages that only some folders may name. */
const PACKAGE_OWNERS: readonly { readonly packages: RegExp; readonly folders: readonly string[] }[] = [
  { packages: /^(?:kafkajs|@platformatic\/kafka)(?:\/|$)/, folders: ["logagent/sink"] },
  { packages: /^@grpc\/grpc-js(?:\/|$)/, folders: ["store/server", "store/client"] },
  { packages: /^lmdb(?:\/|$)/, folders: ["store/backend"] },
  { packages: /^tail(?:\/|$)/, folders: [] },
];

/** The folders and files that hold no I/O, timer, clock, chance or logger of their own. */
const PURE = [
  "store/raft/",
  "store/membership/",
  "store/mvcc/",
  "store/lease/",
  "store/watch/",
  "store/apply/",
  "logagent/framing/",
  "logagent/rules/",
  "logagent/task/diff.ts",
  "logagent/memory/reading.ts",
  "logagent/sink/send-window.ts",
  "logagent/sink/copy-bytes.ts",
  "logagent/sink/kafka/record-batch.ts",
  "logagent/sink/kafka/record-headers.ts",
];
const PURE_MODULES = ["node:buffer", "node:assert", "node:assert/strict"];
/** A hash is a function of its input, and node:crypto has the rest of it too: one file may import it. */
const HASHING = { file: "store/membership/member-id.ts", module: "node:crypto" };
const IMPURE_PACKAGES =
  /^(?:node:|pino(?:$|[-/])|lmdb(?:$|\/)|@grpc\/|kafkajs$|@platformatic\/kafka$|p-queue$|tail$)/;
const IMPURE_CALLS: readonly { readonly what: string; readonly pattern: RegExp }[] = [
  { what: "Date", pattern: /(?<![.\w$])Date\s*(?:\.|\()|\bnew\s+Date\b/g },
  { what: "Math.random", pattern: /\bMath\s*\.\s*random\b/g },
  { what: "crypto", pattern: /(?<![.\w$])crypto\s*\./g },
  {
    what: "a timer",
    pattern:
      /(?<![.\w$])(?:setTimeout|setInterval|setImmediate|queueMicrotask)\b|\bAbortSignal\s*\.\s*timeout\b/g,
  },
  { what: "performance", pattern: /(?<![.\w$])performance\s*\./g },
  { what: "process", pattern: /(?<![.\w$])process\s*\./g },
  { what: "console", pattern: /(?<![.\w$])console\s*\./g },
  { what: "globalThis", pattern: /(?<![.\w$])globalThis\b/g },
];

/** A pure file that is to be looked at although a folder above it may hold I/O. */
export function isPure(file: string): boolean {
  return PURE.some((pure) => (pure.endsWith("/") ? file.startsWith(pure) : file === pure));
}

/** Every entry of the list of pure files; a name that exists no more makes a rule that holds nothing. */
export function pureEntries(): readonly string[] {
  return PURE;
}

/** DESIGN's import rules. Returns a sentence per violation. */
export function importViolations(source: SourceText): string[] {
  const folder = place(source.path);
  if (OUTSIDE.includes(folder.top)) return [];
  return importsOf(source).flatMap((name) => {
    const reason = name.startsWith(".")
      ? refused(folder, place(path.posix.join(path.posix.dirname(source.path), name)))
      : refusedPackage(source.path, name);
    return reason === undefined ? [] : [`${source.path} imports ${name}: ${reason}`];
  });
}

/** What a pure file may not name. Returns a sentence per violation. */
export function purityViolations(source: SourceText): string[] {
  if (!isPure(source.path)) return [];
  const modules = importsOf(source)
    .filter((name) => isImpurePackage(source.path, name))
    .map((name) => `${source.path} is pure, and imports ${name}`);
  const calls = IMPURE_CALLS.filter(({ pattern }) => source.code.search(pattern) !== -1).map(
    ({ what }) => `${source.path} is pure, and uses ${what}`,
  );
  return [...modules, ...calls];
}

/**
 * What a pure file takes in by way of other files: I/O that one of them imports. Returns a sentence per violation, with the
 * way that leads there.
 */
export function hiddenImpurities(source: SourceText, all: ReadonlyMap<string, SourceText>): string[] {
  if (!isPure(source.path)) return [];
  const seen = new Set([source.path]);
  const ways: string[][] = [[source.path]];
  const found: string[] = [];
  for (let way = ways.shift(); way !== undefined; way = ways.shift()) {
    const from = way.at(-1) ?? "";
    const file = all.get(from);
    if (file === undefined) continue;
    for (const name of runtimeImportsOf(file)) {
      if (!name.startsWith(".")) {
        // Its own imports are told of by purityViolations().
        if (way.length > 1 && isImpurePackage(from, name))
          found.push(`${source.path} is pure, and imports ${name} by way of ${way.slice(1).join(" → ")}`);
        continue;
      }
      const next = path.posix.join(path.posix.dirname(from), name);
      if (!seen.has(next)) ways.push([...way, next]);
      seen.add(next);
    }
  }
  return found;
}

function isImpurePackage(file: string, name: string): boolean {
  if (file === HASHING.file && name === HASHING.module) return false;
  return IMPURE_PACKAGES.test(name) && !PURE_MODULES.includes(name);
}

interface Place {
  /** The folder in the root: `store`, `base`, … */
  readonly top: string;
  /** The folder below that; "." for a file that lies in the top folder itself. */
  readonly inner: string;
}

function place(file: string): Place {
  const [top = "", second = "", third] = file.split("/");
  return { top, inner: third === undefined ? "." : second };
}

function refused(from: Place, to: Place): string | undefined {
  if (OUTSIDE.includes(to.top)) return `nothing imports ${to.top}/`;
  if (from.top === to.top) return refusedWithin(from, to);
  if (to.top === "base") return undefined;
  switch (from.top) {
    case "base":
      return "base/ imports nothing else";
    case "conf":
      return "conf/ imports only base/";
    case "store":
      return refusedFromStore(from, to);
    case "logagent":
      if (to.top === "conf" || isStore(to, "client")) return undefined;
      return "logagent/ reaches the store only by store/client, and ctl/ not at all";
    case "ctl":
      if (to.top === "conf" || isStore(to, "client") || isStore(to, "proto")) return undefined;
      return "ctl/ imports base/, conf/, store/client/ and store/proto/";
    default:
      return `${from.top}/ is no folder of DESIGN`;
  }
}

function refusedFromStore(from: Place, to: Place): string | undefined {
  if (to.top !== "conf") return "store/ imports neither the agent nor ctl/";
  if (from.inner === "client" || STORE_FOLDERS_WITH_OPTIONS.includes(from.inner)) return undefined;
  return `store/${from.inner}/ is given its options, it does not read conf/`;
}

function refusedWithin(from: Place, to: Place): string | undefined {
  if (from.inner === to.inner) return undefined;
  if (from.top === "store") {
    if (from.inner === "client")
      return to.inner === "proto" ? undefined : "store/client/ imports base, proto and conf only";
    if (to.inner === "client") return "the store does not import its client";
    return upward(STORE_STEPS, from, to);
  }
  if (from.top === "logagent") return upward(AGENT_STEPS, from, to);
  if (from.top === "ctl" && to.inner === "." && from.inner === "commands") return undefined;
  return undefined;
}

function upward(steps: readonly (readonly string[])[], from: Place, to: Place): string | undefined {
  const step = (folder: string): number => steps.findIndex((names) => names.includes(folder));
  for (const { top, inner } of [from, to]) {
    if (step(inner) === -1) return `${top}/${inner}/ has no place in DESIGN's order of folders`;
  }
  if (step(to.inner) <= step(from.inner)) return undefined;
  return `${to.inner === "." ? "the top" : `${to.inner}/`} stands above ${from.inner}/`;
}

function isStore(to: Place, inner: string): boolean {
  return to.top === "store" && to.inner === inner;
}

function refusedPackage(file: string, name: string): string | undefined {
  const owned = PACKAGE_OWNERS.find(({ packages }) => packages.test(name));
  if (owned === undefined || owned.folders.some((folder) => file.startsWith(`${folder}/`))) return undefined;
  return owned.folders.length === 0
    ? "only test/, bench/ and deploy/ use it"
    : `only ${owned.folders.join(", ")} may`;
}
