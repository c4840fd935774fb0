import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { suite, test } from "node:test";
import { machinePaths, pathsNamed } from "./support/tidy/documents.ts";
import {
  habitViolations,
  isGenerated,
  nameViolations,
  noteViolations,
  sizeViolations,
} from "./support/tidy/habits.ts";
import { hiddenImpurities, importViolations, pureEntries, purityViolations } from "./support/tidy/layers.ts";
import { importsOf, runtimeImportsOf, type SourceText, sourceText } from "./support/tidy/source-text.ts";

const root = path.resolve(import.meta.dirname, "..");
const SOURCE_FOLDERS = ["base", "conf", "store", "logagent", "ctl", "test", "bench", "deploy"];
const LEFT_OUT = ["node_modules", "dist", ".git", ".cache", ".tour"];

const files = walk("");
const sources = files
  .filter((file) => SOURCE_FOLDERS.includes(file.split("/")[0] ?? "") && /\.[tj]s$/.test(file))
  .map((file) => sourceText(file, read(file)));
const documents = files.filter((file) => file.endsWith(".md"));

suite("the project", () => {
  test("has sources in the folders that DESIGN names", () => {
    for (const folder of ["base", "conf", "store", "logagent", "ctl", "test"]) {
      assert.ok(
        sources.some(({ path }) => path.startsWith(`${folder}/`)),
        `no source found in ${folder}/`,
      );
    }
  });

  test("imports downward only", () => none(sources.flatMap(importViolations)));

  test("imports only files and packages that are there", () => none(sources.flatMap(missingImports)));

  test("keeps I/O, clocks, timers, chance and loggers out of pure files", () =>
    none(sources.flatMap(purityViolations)));

  test("has no I/O behind what pure files import", () => {
    const all = new Map(sources.map((source) => [source.path, source]));
    none(sources.flatMap((source) => hiddenImpurities(source, all)));
  });

  test("has every file and folder that is held to be pure", () => {
    none(pureEntries().filter((entry) => !existsSync(path.join(root, entry))));
  });

  test("keeps a file within 300 lines", () => none(sources.flatMap(sizeViolations)));

  test("has no default export, enum, any, empty catch, unfinished note or test that does not run", () => {
    none(sources.filter(({ path }) => !path.startsWith("test/tidy.test.ts")).flatMap(habitViolations));
    none(documents.flatMap((file) => noteViolations(file, read(file))));
  });

  test("names its files in kebab-case", () => none(sources.flatMap(({ path }) => nameViolations(path))));

  test("has every file and folder that its documents name", () => {
    const missing = documents.flatMap((file) =>
      pathsNamed(file, read(file))
        .filter((name) => !existsSync(path.join(root, name)))
        .map((name) => `${file} names ${name}, which is not there`),
    );
    none(missing);
  });

  test("does not name folders of the machine it was written on", () => {
    // A clone in the folder for temporary files shares its parent with everything that is written there.
    const parent = path.dirname(root);
    const folders = [root, os.homedir(), ...(parent === os.tmpdir() ? [] : [parent])].filter(
      (name) => name.length > 1,
    );
    const telling = files
      .filter(
        (file) =>
          !isGenerated(file) &&
          /\.(?:[tj]s|md|json|ya?ml|proto|service|sh|xml)$|^\.ci\/|Dockerfile$/.test(file),
      )
      .filter((file) => file !== "package-lock.json")
      .flatMap((file) => machinePaths(read(file), folders).map((folder) => `${file} names ${folder}`));
    none(telling);
  });
});

suite("the rules find what they forbid", () => {
  const found = (rule: (source: SourceText) => string[], file: string, text: string): number =>
    rule(sourceText(file, text)).length;

  test("sourceText() blanks comments and literals, and nothing else", () => {
    const cases: [string, string][] = [
      ["a // b\nc", "a     \nc"],
      ["a /* b\nc */ d", "a     \n     d"],
      ['x = "a//b" + c', 'x = "    " + c'],
      // biome-ignore lint/suspicious/noTemplateCurlyInString: the case is source text
      ["x = `a${b + `c${d}`}e` + f", "x = ` ${b + ` ${d}`} ` + f"],
      ["x = a / b / c", "x = a / b / c"],
      ["x = /[/]any'/.test(y)", "x = /       /.test(y)"],
      ['x = "\\"" + "any"', 'x = "  " + "   "'],
      ["f(() => { return /a}/ })", "f(() => { return /  / })"],
    ];
    for (const [text, code] of cases) assert.equal(sourceText("base/a.ts", text).code, code, text);
  });

  test("importsOf() finds every form of import", () => {
    const text = [
      'import "a";',
      "import b from 'b';",
      'import type { C } from "c";',
      'import {\n  d,\n  e,\n} from "d";',
      'export * from "e";',
      'const f = await import("f");',
      'let g: import("g").G;',
      '// import "no";',
      "const text = \"import 'no'\";",
    ].join("\n");
    assert.deepEqual(importsOf(sourceText("base/a.ts", text)), ["a", "b", "c", "d", "e", "f", "g"]);
  });

  test("runtimeImportsOf() leaves out imports of types", () => {
    const text = [
      'import "a";',
      "import b from 'b';",
      'import type { C } from "c";',
      'import {\n  type D,\n  e,\n} from "d";',
      'export * from "e";',
      'export type { X } from "x";',
      'const f = await import("f");',
      "export const g = 1;",
      'const text = "no";',
      "import type H from 'h';",
    ].join("\n");
    assert.deepEqual(runtimeImportsOf(sourceText("base/a.ts", text)), ["a", "b", "d", "e", "f"]);
  });

  test("hiddenImpurities() follows imports to the I/O behind them", () => {
    const all = new Map(
      [
        [
          "store/raft/a.ts",
          'import { b } from "../../base/b.ts";\nimport type { T } from "../../base/types.ts";',
        ],
        ["base/b.ts", 'import { c } from "./c.ts";'],
        ["base/c.ts", 'import fs from "node:fs";\nimport { b } from "./b.ts";'],
        ["base/types.ts", 'import net from "node:net";'],
      ].map(([file = "", text = ""]) => [file, sourceText(file, text)] as const),
    );
    const raft = all.get("store/raft/a.ts") ?? assert.fail();
    assert.deepEqual(hiddenImpurities(raft, all), [
      "store/raft/a.ts is pure, and imports node:fs by way of base/b.ts → base/c.ts",
    ]);
  });

  test("importViolations() refuses what points upward", () => {
    const refused: [string, string][] = [
      ["base/a.ts", "../conf/b.ts"],
      ["conf/a.ts", "../store/proto/b.ts"],
      ["store/raft/a.ts", "../wal/b.ts"],
      ["store/proto/gen/a.ts", "../../raft/b.ts"],
      ["store/wal/a.ts", "../mvcc/b.ts"],
      ["store/mvcc/a.ts", "../watch/b.ts"],
      ["store/watch/a.ts", "../apply/b.ts"],
      ["store/apply/a.ts", "../peer/b.ts"],
      ["store/peer/a.ts", "../server/b.ts"],
      ["store/server/a.ts", "../main.ts"],
      ["store/server/a.ts", "../client/b.ts"],
      ["store/apply/a.ts", "../../conf/b.ts"],
      ["store/client/a.ts", "../server/b.ts"],
      ["store/main.ts", "../logagent/main.ts"],
      ["store/main.ts", "./strange/a.ts"],
      ["logagent/agent.ts", "../store/server/b.ts"],
      ["logagent/agent.ts", "../store/proto/b.ts"],
      ["logagent/framing/a.ts", "../sink/b.ts"],
      ["logagent/sink/kafka/a.ts", "../../task/b.ts"],
      ["logagent/task/a.ts", "../agent.ts"],
      ["ctl/main.ts", "../logagent/agent.ts"],
      ["ctl/main.ts", "../store/apply/b.ts"],
      ["store/main.ts", "../test/support/b.ts"],
      ["logagent/agent.ts", "kafkajs"],
      ["logagent/source/a.ts", "@platformatic/kafka"],
      ["logagent/source/a.ts", "tail"],
      ["store/mvcc/a.ts", "lmdb"],
      ["ctl/main.ts", "@grpc/grpc-js"],
    ];
    for (const [file, name] of refused) {
      assert.equal(found(importViolations, file, `import { x } from "${name}";`), 1, `${file} → ${name}`);
    }
  });

  test("importViolations() lets pass what points downward", () => {
    const allowed: [string, string][] = [
      ["store/main.ts", "./server/a.ts"],
      ["store/server/a.ts", "../proto/gen/b.ts"],
      ["store/server/a.ts", "../../conf/b.ts"],
      ["store/backend/a.ts", "lmdb"],
      ["store/lease/a.ts", "../../base/b.ts"],
      ["store/client/a.ts", "../proto/b.ts"],
      ["logagent/agent.ts", "../store/client/b.ts"],
      ["logagent/sink/kafka/a.ts", "@platformatic/kafka"],
      ["logagent/main.ts", "./agent.ts"],
      ["ctl/commands/put.ts", "../format.ts"],
      ["test/e2e/a.test.ts", "../../store/server/b.ts"],
      ["deploy/tour/main.ts", "tail"],
    ];
    for (const [file, name] of allowed) {
      assert.equal(found(importViolations, file, `import { x } from "${name}";`), 0, `${file} → ${name}`);
    }
  });

  test("purityViolations() finds I/O, clocks, timers, chance and loggers", () => {
    const impure = [
      "Date.now()",
      "new Date()",
      "new Date",
      "Math.random()",
      "setTimeout(f, 1)",
      "setInterval(f, 1)",
      "setImmediate(f)",
      "performance.now()",
      "process.hrtime()",
      "console.log(1)",
      "AbortSignal.timeout(5)",
      "crypto.randomUUID()",
      'import fs from "node:fs"',
      'import net from "node:net"',
      'import { setTimeout } from "node:timers/promises"',
      'import type { Logger } from "pino"',
      'import { open } from "lmdb"',
    ];
    for (const text of impure) {
      assert.ok(found(purityViolations, "store/raft/a.ts", text) > 0, text);
      assert.equal(found(purityViolations, "store/wal/a.ts", text), 0, text);
    }
    const pure = [
      "this.clock.setTimeout(f)",
      "// Date.now()",
      'x = "Math.random()"',
      "message.process(x)",
      'import { Buffer } from "node:buffer"',
      "function process(x: number): void",
    ];
    for (const text of pure) assert.equal(found(purityViolations, "store/raft/a.ts", text), 0, text);
  });

  test("habitViolations() finds what STYLE forbids", () => {
    const bad = [
      "export default 1;",
      "export { x as default };",
      "enum Colour { Red }",
      "const enum Colour { Red }",
      "let x: any;",
      "x = y as any;",
      "let x: Map<string, any>;",
      "let x: any[];",
      "let x: any = 1;",
      "function f(x: any, y: string) {}",
      "let x: string | any;",
      "f = (): any => 1;",
      "interface IFoo {}",
      "x = y!.z;",
      "f(x!)",
      "try { f() } catch {}",
      "try { f() } catch (error) { }",
      `// ${"TO"}DO: later`,
      `/* ${"FIX"}ME */`,
    ];
    for (const text of bad) assert.equal(found(habitViolations, "base/a.ts", text), 1, text);
    const unrun = [
      "test.skip('a', f)",
      "t.skip()",
      "test('a', { skip: true }, f)",
      "test('a', { todo: true }, f)",
      "test.only('a', f)",
      "test('a', { only: true }, f)",
    ];
    for (const text of unrun) assert.equal(found(habitViolations, "test/a.test.ts", text), 1, text);
  });

  test("habitViolations() lets pass what only looks like it", () => {
    const good = [
      "Promise.any(x)",
      "// any enum, as any, export default",
      'x = "as any"',
      "const any = 1;",
      "bytes[i]! + 1",
      "x !== y",
      "if (!x) f()",
      "x = y ? a : anyOf(b)",
      "interface Index {}",
      "iterator.skip(3)",
      "try { f() } catch {\n  return false;\n}",
    ];
    for (const text of good) assert.equal(found(habitViolations, "base/a.ts", text), 0, text);
  });

  test("sizeViolations() counts lines of sources, not of tests or generated code", () => {
    const long = "x;\n".repeat(301);
    assert.equal(found(sizeViolations, "base/a.ts", "x;\n".repeat(300)), 0);
    assert.equal(found(sizeViolations, "base/a.ts", long), 1);
    assert.equal(found(sizeViolations, "test/a.test.ts", long), 0);
    assert.equal(found(sizeViolations, "store/proto/gen/a.ts", long), 0);
  });

  test("nameViolations() refuses other cases and names that say nothing", () => {
    for (const file of ["base/fooBar.ts", "base/Foo.ts", "base/foo_bar.ts", "base/utils.ts", "Base/a.ts"]) {
      assert.equal(nameViolations(file).length, 1, file);
    }
    for (const file of ["base/foo-bar.ts", "test/e2e/a-b.test.ts", "base/sha256.ts", "store/bin.js"]) {
      assert.equal(nameViolations(file).length, 0, file);
    }
  });

  test("pathsNamed() finds links, names in backticks and folder lists", () => {
    const text = [
      "See [the WAL](../store/wal/wal.ts#L10), [the net](https://a.b/c) and `logagent/sink/kafka/x.ts:12`.",
      "`/logagent/<ip>/status`, `go.etcd.io/x`, `test/**/*.test.ts`, `docs/adr/`, `logagent/<ip>`",
      "",
      "base/       the kernel",
    ].join("\n");
    assert.deepEqual(pathsNamed("docs/a.md", text), [
      "store/wal/wal.ts",
      "logagent/sink/kafka/x.ts",
      "test/",
      "docs/adr/",
      "base/",
    ]);
  });

  test("machinePaths() finds a folder, not a longer name that begins like it", () => {
    assert.deepEqual(machinePaths("see /srv/me/x", ["/srv/me", "/srv/other"]), ["/srv/me"]);
    assert.deepEqual(machinePaths("see /srv/mean", ["/srv/me"]), []);
  });
});

/** Relative imports that lead nowhere: the compiler sees them too, but not in plain JavaScript's computed ones. */
function missingImports(source: SourceText): string[] {
  return importsOf(source)
    .filter((name) => name.startsWith("."))
    .filter((name) => !existsSync(path.join(root, path.dirname(source.path), name)))
    .map((name) => `${source.path} imports ${name}, which is not there`);
}

function none(violations: readonly string[]): void {
  assert.equal(violations.length, 0, `\n${violations.join("\n")}`);
}

function walk(folder: string): string[] {
  return readdirSync(path.join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    const name = folder === "" ? entry.name : `${folder}/${entry.name}`;
    if (LEFT_OUT.includes(entry.name)) return [];
    return entry.isDirectory() ? walk(name) : [name];
  });
}

function read(file: string): string {
  return readFileSync(path.join(root, file), "utf8");
}
