import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { suite, test } from "node:test";
import { argValues, parseScript, runScript } from "./data-driven.ts";

const parsed = (...lines: string[]) =>
  parseScript("s", lines.join("\n")).map(({ position: _, ...rest }) => rest);

suite("data-driven scripts", () => {
  test("parseScript() finds command, arguments, input and output, between comments and blank lines", () => {
    assert.deepEqual(
      parsed(
        "# About it.",
        "",
        "one 7 a=1 b=(x, (y,z),) c= d=() e=(_,5)",
        "in 1",
        "",
        "in 2",
        "----",
        "out 1",
        "out 2",
        "",
        "# More.",
        "two",
        "----",
        "",
        "three",
        "----",
        "end",
      ),
      [
        {
          command: "one",
          args: [
            { key: "7", values: [] },
            { key: "a", values: ["1"] },
            { key: "b", values: ["x", "(y,z)", ""] },
            { key: "c", values: [""] },
            { key: "d", values: [""] },
            { key: "e", values: ["_", "5"] },
          ],
          input: "in 1\n\nin 2",
          expected: "out 1\nout 2\n",
        },
        { command: "two", args: [], input: "", expected: "" },
        { command: "three", args: [], input: "", expected: "end\n" },
      ],
    );
  });

  test("parseScript() lets an output between double fences have blank lines and single fences", () => {
    assert.deepEqual(
      parsed("one", "----", "----", "a", "", "----", "b", "----", "----", "", "two", "----", "c"),
      [
        { command: "one", args: [], input: "", expected: "a\n\n----\nb\n" },
        { command: "two", args: [], input: "", expected: "c\n" },
      ],
    );
  });

  test("parseScript() joins a directive line that ends in a backslash with the next", () => {
    assert.deepEqual(parsed("one \\", "  a=1", "----", "x")[0]?.args, [{ key: "a", values: ["1"] }]);
  });

  test("parseScript() says where a line cannot be parsed", () => {
    assert.throws(() => parsed("", "one a=(1"), /s:2: a parenthesis is not closed/);
    assert.throws(() => parsed("one =1"), /s:1: cannot parse "one =1" at "=1"/);
    assert.throws(() => parsed("subtest x"), /s:1: subtests/);
  });

  test("argValues() gives the first of a key", () => {
    const [directive] = parseScript("s", "one a=1 b a=2\n----\n");
    assert.ok(directive);
    assert.deepEqual(argValues(directive, "a"), ["1"]);
    assert.deepEqual(argValues(directive, "b"), []);
    assert.equal(argValues(directive, "c"), undefined);
  });

  test("runScript() passes over equal outputs and throws at the first other one, with its place", (t) => {
    const folder = mkdtempSync(path.join(os.tmpdir(), "script-"));
    t.after(() => rmSync(folder, { recursive: true }));
    const file = path.join(folder, "script.txt");
    writeFileSync(file, "say\nLOG a\n----\nLOG b\na\n\nsay\nb\n----\nc\n");
    const asked: string[] = [];
    const echo = ({ input }: { input: string }) => {
      asked.push(input);
      return input.replace("LOG ", "");
    };
    const view = (output: string) => output.replace(/^LOG .*\n/gm, "");
    assert.throws(() => runScript(file, echo), /script\.txt:1:.*---- expected\nLOG b\na\n---- found\na/s);
    assert.throws(() => runScript(file, echo, { view }), /script\.txt:7:.*---- expected\nc\n---- found\nb/s);
    assert.deepEqual(asked, ["LOG a", "LOG a", "b"]);
    const broken = () => {
      throw new Error("broken");
    };
    assert.throws(() => runScript(file, broken), /script\.txt:1: say threw/);
    writeFileSync(file, "# nothing\n");
    assert.throws(() => runScript(file, echo), /has no directives/);
  });
});
