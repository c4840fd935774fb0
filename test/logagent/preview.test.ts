import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { appendFileSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";

const BIN = join(import.meta.dirname, "../../logagent/bin.js");
let folder: string;

before(() => {
  folder = mkdtempSync(join(tmpdir(), "logagent-preview-"));
  writeFileSync(join(folder, "a.log"), "one\r\ntwo\n\nunfinished");
  writeFileSync(join(folder, "b.log"), `${"x".repeat(3000)}\n`);
});
after(() => rmSync(folder, { recursive: true, force: true }));

interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs it in the folder; `onOutput` is called with all of stdout so far. */
function preview(
  args: readonly string[],
  onOutput?: (stdout: string, kill: () => void) => void,
): Promise<Ended> {
  const child = spawn(process.execPath, [BIN, "preview", ...args], { cwd: folder });
  let stdout = "";
  let stderr = "";
  child.stdout.setEncoding("latin1").on("data", (text: string) => {
    stdout += text;
    onOutput?.(stdout, () => child.kill("SIGKILL"));
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    stderr += text;
  });
  return new Promise((resolve) => child.on("close", (code) => resolve({ code, stdout, stderr })));
}

suite("logagent preview", () => {
  test("prints what a task would ship, and says what it would hold", async () => {
    const { code, stdout, stderr } = await preview(["a.log"]);
    assert.equal(stdout, "one\ntwo\n\n");
    assert.equal(
      stderr,
      `${folder}/a.log: 10 bytes behind the last newline are held until their line is complete\n3 lines\n`,
    );
    assert.equal(code, 0);
  });

  test("--offsets prints path and offset of each line", async () => {
    const { stdout } = await preview(["a.log", "--offsets"]);
    const path = `${folder}/a.log`;
    assert.equal(stdout, `${path}:0\tone\n${path}:5\ttwo\n${path}:9\t\n`);
  });

  test("--max-line-bytes cuts, and says so", async () => {
    const { stdout, stderr } = await preview(["*.log", "--max-line-bytes", "1024"]);
    const parts = stdout.split("\n").filter((line) => line.startsWith("x"));
    assert.deepEqual(
      parts.map((part) => part.length),
      [1024, 1024, 952],
    );
    assert.match(stderr, /2 cuts in lines longer than 1024 bytes\n/);
  });

  test("--entry applies the rules of an entry", async () => {
    const rules = { redact: [{ pattern: "o" }], exclude: ["^$"] };
    const { stdout, stderr } = await preview(["a.log", "--entry", JSON.stringify(rules)]);
    assert.equal(stdout, "***ne\ntw***\n");
    assert.match(stderr, /1 records left out by include and exclude\n2 lines\n/);
  });

  for (const [json, problem] of [
    ["{", /--entry is not JSON at line 1, column 2: /],
    ["[]", /--entry is a list, expected an object/],
    ['{"encoding":"x"}', /field "encoding" is "x", expected an encoding that is known/],
    [
      '{"include":["("]}',
      /field "include\[0\]" is "\(", expected a pattern that compiles: missing closing \)/,
    ],
  ] as const) {
    test(`refuses --entry ${json}`, async () => {
      const { code, stderr } = await preview(["a.log", "--entry", json]);
      assert.match(stderr, problem);
      assert.equal(code, 1);
    });
  }

  test("--lines ends early", async () => {
    assert.equal((await preview(["a.log", "--lines", "1"])).stdout, "one\n");
  });

  test("--follow goes on when the file grows", async () => {
    const path = join(folder, "c.txt");
    writeFileSync(path, "first\n");
    const { stdout } = await preview([path, "--follow"], (out, kill) => {
      if (out === "first\n") appendFileSync(path, "second\n");
      if (out.includes("second")) kill();
    });
    assert.equal(stdout, "first\nsecond\n");
  });

  test("writes nothing anywhere near", () => {
    assert.deepEqual(readdirSync(folder).sort(), ["a.log", "b.log", "c.txt"]);
  });

  test("fails with a sentence when there is nothing to read", async () => {
    const { code, stderr } = await preview([`${folder}/none*.log`]);
    assert.equal(code, 1);
    assert.match(
      stderr,
      /Cannot preview .*none\*\.log: no file that can be read matches, expected at least one/,
    );
    assert.match(
      (await preview([folder])).stderr,
      /it is a directory, expected a regular file \(for the files in it: /,
    );
    assert.match(
      (await preview(["a.log", "--max-line-bytes", "3"])).stderr,
      /field "maxLineBytes" is 3, expected 1024 or more/,
    );
  });

  test("the help says that all lines are printed, not null of them", async () => {
    assert.match(
      (await preview(["--help"])).stdout,
      /--lines <count> +stop after so many lines \(default: all\)/,
    );
  });

  test("refuses wrong usage with exit code 2", async () => {
    const { code, stderr } = await preview(["a.log", "--lines", "none"]);
    assert.equal(code, 2);
    assert.match(stderr, /expected a whole number above 0/);
  });
});
