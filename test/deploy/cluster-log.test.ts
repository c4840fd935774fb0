import assert from "node:assert/strict";
import { appendFileSync } from "node:fs";
import path from "node:path";
import { suite, test } from "node:test";
import { stripVTControlCharacters } from "node:util";
import { LogFollower } from "../../deploy/cluster/log-follower.ts";
import { readableLine } from "../../deploy/cluster/log-line.ts";
import { temporaryFolder } from "../support/process.ts";

const line = (time: string, msg: string) => `{"level":30,"time":"2024-05-06T${time}Z","msg":"${msg}"}`;

suite("what npm run cluster shows of a member's log", () => {
  test("readableLine() shows time of day, level, message and fields", () => {
    const record = {
      level: 40,
      time: "2024-05-06T07:08:09.010Z",
      daemon: "logstore",
      peer: "a1",
      urls: ["http://x:1"],
      term: 7,
      msg: "lost peer",
    };
    assert.equal(
      stripVTControlCharacters(readableLine(JSON.stringify(record))),
      '07:08:09.010 WARN  lost peer peer=a1 urls=["http://x:1"] term=7',
    );
  });

  test("readableLine() puts a stack on lines of its own", () => {
    const record = {
      level: 60,
      time: "2024-05-06T07:08:09.010Z",
      msg: "ending",
      reason: "bug",
      stack: "Error: bug\n  at x",
    };
    assert.equal(
      stripVTControlCharacters(readableLine(JSON.stringify(record))),
      "07:08:09.010 FATAL ending reason=bug \nError: bug\n  at x",
    );
  });

  test("readableLine() leaves what is no log line as it is", () => {
    for (const text of ["", "node:internal/errors:1", "{not json", '{"a":1}', "{}"])
      assert.equal(readableLine(text), text);
  });

  test("LogFollower gives whole lines that were appended, in order of their time", () => {
    const folder = temporaryFolder("follow");
    const [one, two] = [path.join(folder, "one"), path.join(folder, "two")];
    appendFileSync(one, `${line("00:00:00", "of an earlier run")}\n`);
    const seen: string[] = [];
    const sources = [
      { name: "one", logFile: one },
      { name: "two", logFile: two },
    ];
    const follower = new LogFollower(sources, (name, text) =>
      seen.push(`${name} ${/"msg":"(.*)"/.exec(text)?.[1] ?? text}`),
    );
    appendFileSync(one, `${line("00:00:03", "third")}\n${line("00:00:04", "fo")}`.slice(0, -2));
    appendFileSync(two, `${line("00:00:01", "first")}\n    at a stack\n${line("00:00:05", "fifth é")}\n`);
    follower.catchUp();
    assert.deepEqual(seen, ["two first", "two     at a stack", "one third", "two fifth é"]);
    appendFileSync(one, '"}\n');
    follower.end();
    assert.equal(seen[4], "one fo");
  });
});
