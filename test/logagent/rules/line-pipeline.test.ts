import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { FINAL_FLUSH, NO_FLUSH } from "../../../logagent/framing/types.ts";
import { LinePipeline } from "../../../logagent/rules/line-pipeline.ts";
import { MATCHES_MAX } from "../../../logagent/rules/redact.ts";
import { entryOf, ORIGIN, type Reading, type Shipped, ship, smallEntry, values } from "./pipeline-bed.ts";

const shipText = (
  fields: Readonly<Record<string, unknown>>,
  text: string | Buffer,
  reading: Reading = {},
): Shipped => ship(entryOf(fields), Buffer.from(text as string), reading);

function runOnce(fields: Readonly<Record<string, unknown>>, bytes: Buffer) {
  const [starts, ends] = [new Uint32Array(600), new Uint32Array(600)];
  const input = {
    bytes,
    base: 0,
    from: 0,
    end: bytes.length,
    flush: FINAL_FLUSH,
    starts,
    ends,
    origin: ORIGIN,
  };
  return new LinePipeline(entryOf(fields)).run(input);
}

suite("LinePipeline.run()", () => {
  test("wraps records into JSON that says where they are from", () => {
    const shipped = shipText(
      { format: "json", fields: { env: "prod" } },
      Buffer.from('one\ntw"o\n\xff\n', "latin1"),
    );
    const head = { time: ORIGIN.readAt, ip: ORIGIN.ip, path: ORIGIN.path };
    assert.deepEqual(
      values(shipped).map((value) => JSON.parse(value)),
      [
        { ...head, offset: 0, line: "one", env: "prod" },
        { ...head, offset: 4, line: 'tw"o', env: "prod" },
        { ...head, offset: 9, line: "\ufffd", env: "prod" },
      ],
    );
  });

  test("gives records their keys", () => {
    const lines = '{"user":"u1","n":7}\n{"user":""}\n{"a":1}\nno json\n{"user":{}}\n[1]\n{"user":true}\n';
    const keys = (key: string, more = {}) =>
      shipText({ key, ...more }, lines).records.map((record) => record.key);
    assert.deepEqual(keys("field:user"), ["u1", "", undefined, undefined, undefined, undefined, "true"]);
    assert.deepEqual(keys("field:n").slice(0, 2), ["7", undefined]);
    assert.deepEqual(keys("field:toString"), Array(7).fill(undefined));
    assert.deepEqual(keys("path"), Array(7).fill(ORIGIN.path));
    assert.deepEqual(keys("none"), Array(7).fill(undefined));
    assert.deepEqual(keys("field:env", { format: "json", fields: { env: "prod" } }), Array(7).fill("prod"));
  });

  test("takes a key from what is left after redaction", () => {
    const rules = { key: "field:user", redact: [{ pattern: "secret" }] };
    assert.deepEqual(shipText(rules, '{"user":"secret"}\n').records[0]?.key, "***");
  });

  test("includes, excludes and redacts by patterns", () => {
    const rules = { include: ["a", "b"], exclude: ["c"], redact: [{ pattern: "[0-9]+", replacement: "$1" }] };
    const shipped = shipText(rules, "a1 22\nc\nb3c\nx4\nb5\n");
    assert.deepEqual(values(shipped), ["a$1 $1", "b$1"]);
    assert.equal(shipped.dropped, 3);
    assert.equal(shipped.to, 18);
  });

  test("redacts by one rule after another, invalid UTF-8 around it unchanged", () => {
    const rules = {
      redact: [
        { pattern: "\\d+", replacement: "<n>" },
        { pattern: "<n>é", replacement: "" },
        { pattern: "z*", replacement: "-" },
      ],
    };
    const shipped = ship(entryOf(rules), Buffer.from("\xff12\xc3\xa9\xfezz3\n", "latin1"));
    assert.deepEqual(shipped.records, [{ value: "\xff\xfe-<n>", offset: 0 }]);
  });

  test("replaces the rest as a whole behind very many matches", () => {
    const line = "x1 ".repeat(MATCHES_MAX + 5);
    const [record] = values(shipText({ redact: [{ pattern: "\\d", replacement: "*" }] }, `${line}\n`));
    assert.equal(record, `${"x* ".repeat(MATCHES_MAX)}x*`);
  });

  test("ships part 1 of a line that waits no longer, whole characters of it, and goes on with part 2", () => {
    const rules = entryOf();
    const partial = { ...NO_FLUSH, partialLine: true };
    const text = Buffer.from("one\ntwé");
    const first = ship(rules, text.subarray(0, -1), { flush: partial });
    assert.deepEqual(first.records, [
      { value: "one", offset: 0 },
      { value: "tw", offset: 4, part: "1" },
    ]);
    assert.deepEqual([first.to, first.cuts], [6, 0]);
    const rest = Buffer.concat([text, Buffer.from("\nthree\n")]);
    const second = ship(rules, rest, { from: first.to, position: first.position });
    assert.deepEqual(second.records, [
      { value: Buffer.from("é").toString("latin1"), offset: 6, part: "2/2" },
      { value: "three", offset: 9 },
    ]);
  });

  test("holds a \\r at the end of a line that waits no longer: its \\n may follow", () => {
    const partial = { ...NO_FLUSH, partialLine: true };
    const first = ship(entryOf(), Buffer.from("ab\r"), { flush: partial });
    assert.deepEqual([first.to, first.records.map(({ value }) => value)], [2, ["ab"]]);
    assert.equal(
      ship(entryOf(), Buffer.from("ab\r"), { from: 2, position: first.position, flush: partial }).to,
      2,
    );
    const second = ship(entryOf(), Buffer.from("ab\r\n"), { from: 2, position: first.position });
    assert.deepEqual(second.records, [{ value: "", offset: 2, part: "2/2" }]);
  });

  test("ships lines that belong together when they wait no longer, and holds the line behind them", () => {
    const rules = entryOf({ multiline: { continuation: "^ " } });
    const shipped = ship(rules, Buffer.from("a\n b\n c"), { flush: { ...NO_FLUSH, group: true } });
    assert.deepEqual(shipped.records, [{ value: "a\n b", offset: 0 }]);
    assert.equal(shipped.to, 5);
  });

  test("takes lines that belong together up to a line that is too long", () => {
    const rules = smallEntry({ multiline: { continuation: "^ " } }, { maxLineBytes: 6 });
    const { records } = ship(rules, Buffer.from("a\n b\n cdefgh\n i\n"), { flush: FINAL_FLUSH });
    assert.deepEqual(records, [
      { value: "a\n b", offset: 0 },
      { value: " cdefg", offset: 5, part: "1" },
      { value: "h", offset: 11, part: "2/2" },
      { value: " i", offset: 13 },
    ]);
  });

  test("leaves out a byte order mark, at the start of the file alone", () => {
    const text = Buffer.from("\ufeffa\n\ufeffb\n", "utf16le");
    assert.deepEqual(values(shipText({ encoding: "utf-16le" }, text)), ["a", "\ufeffb"]);
    const bom = Buffer.from("\ufeffa\n");
    assert.deepEqual(values(shipText({}, bom)), ["\ufeffa"]);
  });

  test("finds the units of UTF-16 again behind the first byte of a newline", () => {
    const text = Buffer.from("ab\ncd\n", "utf16le");
    const shipped = ship(entryOf({ encoding: "utf-16le" }), text, { from: 5 });
    assert.deepEqual(values(shipped), ["cd"]);
    assert.equal(shipped.to, text.length);
  });

  test("does not let a record in another encoding become longer than maxLineBytes", () => {
    for (const [encoding, unit] of [
      ["latin1", Buffer.from([0x80])],
      ["shift_jis", Buffer.from([0xb1])],
      ["gbk", Buffer.from([0xba, 0xba])],
      ["utf-16le", Buffer.from("漢", "utf16le")],
    ] as const) {
      const file = Buffer.alloc(9000, unit);
      const shipped = ship(entryOf({ encoding, maxLineBytes: 1024 }), file, { flush: FINAL_FLUSH });
      assert.ok(shipped.records.every(({ value }) => value.length <= 1024));
      assert.ok(shipped.records.slice(0, -1).every(({ value }) => value.length > 500));
      assert.equal(values(shipped).join(""), new TextDecoder(encoding).decode(file));
    }
  });

  test("costs an entry without rules neither copy nor position", () => {
    const file = Buffer.from("a\nb\n");
    const { spans } = runOnce({}, file);
    assert.equal(spans.bytes, file);
    assert.equal(spans.positions, undefined);
    assert.equal(runOnce({ exclude: ["a"], multiline: { start: "^" } }, file).spans.bytes, file);
  });
});
