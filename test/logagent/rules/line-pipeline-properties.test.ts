import assert from "node:assert/strict";
import { suite, test } from "node:test";
import fc from "fast-check";
import type { Entry } from "../../../conf/collect-config.ts";
import { FINAL_FLUSH } from "../../../logagent/framing/types.ts";
import { type Reading, ship, smallEntry, utf8, values } from "./pipeline-bed.ts";

const piece = fc.constantFrom(
  "a",
  "bc",
  "secret=1",
  "drop me",
  "keep",
  '{"user":"u1"}',
  "START ",
  "  at x",
  " more",
  "END",
  "é",
  "漢字",
  "😀",
  "\0",
  "\0\0\0\0\0",
  "\r",
  "\n",
  "\n",
  "\r\n",
  "\n\n",
  "Traceback (most recent call last):\n",
  "defghijklmnopqrstuvw",
);
const broken = fc.constantFrom(Buffer.from([0xff]), Buffer.from([0xc3]), Buffer.from([0xe6, 0xbc]));
const text = fc.array(fc.oneof({ weight: 12, arbitrary: piece }, { weight: 1, arbitrary: broken }), {
  maxLength: 60,
});
const file = text.map((pieces) => Buffer.concat(pieces.map((one) => Buffer.from(one as string))));

const multiline = fc.constantFrom(
  undefined,
  { start: "^START" },
  { continuation: "^\\s" },
  { end: "END$" },
  { preset: "java" },
  { preset: "python" },
  { preset: "go" },
  { preset: "node" },
);
const entry = fc
  .record({
    multiline,
    longLines: fc.constantFrom("cut", "truncate"),
    include: fc.constantFrom([], [], ["a|keep"]),
    exclude: fc.constantFrom([], [], ["drop"]),
    redact: fc.constantFrom([], [], [{ pattern: "secret=\\d" }, { pattern: "b|x*", replacement: "<>" }]),
    format: fc.constantFrom("raw", "raw", "json"),
    key: fc.constantFrom("none", "path", "field:user"),
    encoding: fc.constantFrom("utf-8", "utf-8", "latin1", "shift_jis", "gbk", "utf-16le", "utf-16be"),
    maxLineBytes: fc.integer({ min: 24, max: 60 }),
    maxBytes: fc.integer({ min: 10, max: 80 }),
    maxLines: fc.integer({ min: 2, max: 4 }),
  })
  .map(({ maxLineBytes, maxBytes, maxLines, multiline: lines, ...fields }) =>
    smallEntry(lines === undefined ? fields : { ...fields, multiline: lines }, {
      maxLineBytes,
      maxBytes,
      maxLines,
    }),
  );

const reading = fc.record({
  capacity: fc.integer({ min: 1, max: 300 }),
  // A group of `maxLines`, and the line behind it.
  room: fc.integer({ min: 6, max: 20 }),
  sizes: fc.array(fc.nat(400), { maxLength: 6 }),
});

/** Where a text is of two bytes a unit, it is written in whole units. */
function encode(bytes: Buffer, { encoding }: Entry): Buffer {
  if (!encoding.startsWith("utf-16")) return bytes;
  const units = Buffer.from(bytes.toString("utf8"), "utf16le");
  return encoding === "utf-16be" ? units.swap16() : units;
}

const sizesIn = (reads: Reading, size: number): Reading => ({
  ...reads,
  sizes: (reads.sizes ?? []).map((one) => one % (size + 1)),
});

suite("LinePipeline, for any file and entry", () => {
  test("finds the same records however the file comes in", () => {
    const property = fc.property(file, entry, reading, fc.boolean(), (content, rules, reads, isFinal) => {
      const bytes = encode(content, rules);
      const flush = isFinal ? { flush: FINAL_FLUSH } : {};
      const whole = ship(rules, bytes, flush);
      assert.deepEqual(ship(rules, bytes, { ...sizesIn(reads, bytes.length), ...flush }), whole);
      if (isFinal) assert.equal(whole.to, bytes.length);
    });
    fc.assert(property, { numRuns: 3000 });
  });

  test("finds the same records again from the start of any", () => {
    const property = fc.property(file, entry, fc.nat(), (content, rules, nth) => {
      const bytes = encode(content, rules);
      const whole = ship({ ...rules, longLines: "cut" }, bytes, { flush: FINAL_FLUSH });
      const record = whole.records[nth % Math.max(1, whole.records.length)];
      // Behind a restart nobody knows that the line at hand is the rest of one, which stands for itself.
      if (record === undefined || (rules.multiline !== undefined && (record.part ?? "1") !== "1")) return;
      const again = ship({ ...rules, longLines: "cut" }, bytes, { from: record.offset, flush: FINAL_FLUSH });
      // Only the numbers of parts begin anew.
      const bare = whole.records.slice(whole.records.indexOf(record)).map(({ part: _, ...rest }) => rest);
      assert.deepEqual(
        again.records.map(({ part: _, ...rest }) => rest),
        bare,
      );
    });
    fc.assert(property, { numRuns: 1500 });
  });

  test("leaves out nothing but newlines, and counts what it leaves out by rule", () => {
    const property = fc.property(file, entry, reading, (content, rules, reads) => {
      const plain: Entry = { ...rules, format: "raw", redact: [], encoding: "utf-8", longLines: "cut" };
      const all = ship({ ...plain, include: [], exclude: [] }, content, {
        ...sizesIn(reads, content.length),
        flush: FINAL_FLUSH,
      });
      const left: string[] = [];
      let at = 0;
      for (const { value, offset } of all.records) {
        left.push(content.toString("latin1", at, offset));
        assert.equal(content.toString("latin1", offset, offset + value.length), value);
        at = offset + value.length;
      }
      left.push(content.toString("latin1", at));
      assert.ok(left.every((gap) => gap === "" || gap === "\n" || gap === "\r\n"));
      const some = ship(plain, content, { flush: FINAL_FLUSH });
      assert.equal(some.records.length + some.dropped, all.records.length);
      assert.equal(some.to, all.to);
    });
    fc.assert(property, { numRuns: 1500 });
  });

  test("cuts a line into parts that make it up again, none longer than the limit, the last one marked", () => {
    const property = fc.property(file, fc.integer({ min: 8, max: 40 }), reading, (content, max, reads) => {
      const rules = smallEntry({}, { maxLineBytes: max });
      const { records, cuts } = ship(rules, content, {
        ...sizesIn(reads, content.length),
        flush: FINAL_FLUSH,
      });
      const lines: string[] = [];
      let number = 1;
      for (const { value, part } of records) {
        assert.ok(value.length <= max);
        lines.push((number > 1 ? lines.pop() : "") + value);
        assert.equal(
          part,
          part === undefined ? undefined : part.includes("/") ? `${number}/${number}` : `${number}`,
        );
        number = part === undefined || part.includes("/") ? 1 : number + 1;
      }
      const expected = content.toString("latin1").split(/\r?\n/);
      // A text without a newline at its end has a line more; that ends with `\r` where no `\n` follows.
      if (expected.at(-1) === "") expected.pop();
      assert.deepEqual(lines, expected);
      assert.equal(cuts, records.filter(({ part }) => part !== undefined && !part.includes("/")).length);
    });
    fc.assert(property, { numRuns: 1500 });
  });

  test("truncates a line to the limit, and counts what is left out with its newline", () => {
    const property = fc.property(file, fc.integer({ min: 24, max: 40 }), reading, (content, max, reads) => {
      const rules = smallEntry({ longLines: "truncate" }, { maxLineBytes: max });
      const shipped = ship(rules, content, { ...sizesIn(reads, content.length), flush: FINAL_FLUSH });
      const expected = content.toString("latin1").split("\n");
      const hasEnd = expected.at(-1) === "";
      if (hasEnd) expected.pop();
      assert.equal(shipped.records.length, expected.length);
      let leftOut = 0;
      let long = 0;
      shipped.records.forEach(({ value }, i) => {
        const isWhole = i < expected.length - 1 || hasEnd;
        const line = isWhole ? (expected[i] as string).replace(/\r$/, "") : (expected[i] as string);
        if (line.length <= max) {
          assert.equal(value, line);
          return;
        }
        assert.ok(value.length <= max && value.length > max - 4 && value.endsWith("[truncated]"));
        const kept = value.slice(0, -"[truncated]".length);
        assert.ok(line.startsWith(kept));
        long += 1;
        leftOut += (expected[i] as string).length + (isWhole ? 1 : 0) - kept.length;
      });
      assert.equal(shipped.truncatedLines, long);
      assert.equal(shipped.truncatedBytes, leftOut);
      assert.equal(shipped.to, content.length);
    });
    fc.assert(property, { numRuns: 1500 });
  });

  test("decodes lines as the whole file would be", () => {
    const chars = fc.constantFrom("a", "é", "ÿ", "\n", "\r\n", "\r", " ", "x\n", "~");
    const wide = fc.constantFrom("漢", "字", "ア", "ｱ", "€", "😀", "Ċ", "ਊ", "\n", "a", "\r\n");
    const cases: fc.Arbitrary<[encoding: string, bytes: Buffer]> = fc.oneof(
      fc.array(chars).map((all): [string, Buffer] => ["latin1", Buffer.from(all.join(""), "latin1")]),
      fc
        .array(wide, { minLength: 1 })
        .map((all): [string, Buffer] => ["utf-16le", Buffer.from(`\ufeff${all.join("")}`, "utf16le")]),
      fc
        .array(wide)
        .map((all): [string, Buffer] => ["utf-16be", Buffer.from(all.join(""), "utf16le").swap16()]),
      fc.array(multiByte).map((all): [string, Buffer] => ["gbk", bytesOf(all, 0)]),
      fc.array(multiByte).map((all): [string, Buffer] => ["shift_jis", bytesOf(all, 1)]),
      fc.array(multiByte).map((all): [string, Buffer] => ["euc-jp", bytesOf(all, 2)]),
      fc.array(multiByte).map((all): [string, Buffer] => ["gb18030", bytesOf(all, 3)]),
    );
    const property = fc.property(
      cases,
      reading,
      fc.integer({ min: 12, max: 60 }),
      ([encoding, bytes], reads, max) => {
        const rules = smallEntry({ encoding }, { maxLineBytes: max });
        const shipped = ship(rules, bytes, { ...sizesIn(reads, bytes.length), flush: FINAL_FLUSH });
        const lines: string[] = [];
        let isPart = false;
        for (const { value, part } of shipped.records) {
          assert.ok(value.length <= max, `${value.length} bytes of at most ${max}`);
          lines.push((isPart ? (lines.pop() ?? "") : "") + utf8(value));
          isPart = part !== undefined && !part.includes("/");
        }
        const expected = new TextDecoder(encoding).decode(bytes).split(/\r?\n/);
        if (expected.at(-1) === "") expected.pop();
        assert.deepEqual(lines, expected);
      },
    );
    fc.assert(property, { numRuns: 3000 });
  });
});

/** Characters of one to four bytes: in GBK, Shift JIS, EUC-JP and GB 18030. */
const multiByte = fc.constantFrom(
  ...[
    ["a", "a", "a", "a"],
    ["\n", "\n", "\n", "\n"],
    ["\r\n", "\r\n", "\r\n", "\r\n"],
    ["\xba\xba", "\x8a\xbf", "\xb4\xc1", "\xba\xba"],
    ["\x81\x40", "\x83\x5c", "\x8e\xb1", "\x81\x30\x81\x30"],
    ["\x80", "\xb1", "\x8f\xb0\xa1", "\x94\x39\xda\x33"],
    ["\xd7\xd6", "\x8e\x9a", "\xbb\xfa", "\xd7\xd6"],
  ].map((each) => each as [string, string, string, string]),
);
const bytesOf = (all: readonly string[][], which: number): Buffer =>
  Buffer.from(all.map((each) => each[which]).join(""), "latin1");

suite("LinePipeline, multiline", () => {
  const reference: Readonly<Record<string, (lines: readonly string[]) => string[][]>> = {
    start: (lines) => group(lines, (_, line) => !/^START/.test(line)),
    continuation: (lines) => group(lines, (_, line) => /^\s/.test(line)),
    end: (lines) => group(lines, (before) => !/END$/.test(before.at(-1) as string)),
  };
  const patterns = { start: "^START", continuation: "^\\s", end: "END$" };

  test("puts lines together as a plain reading of the whole file does", () => {
    const line = fc.constantFrom("START a", "  b", "\tc", "END", "d END", "", "e");
    const property = fc.property(
      fc.constantFrom("start", "continuation", "end"),
      fc.array(line, { maxLength: 40 }),
      fc.constantFrom("\n", "\r\n"),
      reading,
      (way, lines, newline, reads) => {
        const pattern = patterns[way as keyof typeof patterns];
        const content = Buffer.from(lines.map((one) => one + newline).join(""));
        const shipped = ship(smallEntry({ multiline: { [way]: pattern } }), content, {
          ...sizesIn(reads, content.length),
          room: 600,
          flush: FINAL_FLUSH,
        });
        const expected = reference[way]?.(lines).map((group) => group.join(newline));
        assert.deepEqual(values(shipped), expected);
      },
    );
    fc.assert(property, { numRuns: 2000 });
  });

  function group(
    lines: readonly string[],
    joins: (before: readonly string[], line: string) => boolean,
  ): string[][] {
    const groups: string[][] = [];
    for (const line of lines) {
      const last = groups.at(-1);
      if (last !== undefined && joins(last, line)) last.push(line);
      else groups.push([line]);
    }
    return groups;
  }

  test("cuts at its limits of lines and bytes, in marked parts", () => {
    const property = fc.property(
      fc.array(fc.constantFrom("START", " a", " bcd", " efghijk"), { maxLength: 30 }),
      fc.integer({ min: 2, max: 4 }),
      fc.integer({ min: 10, max: 40 }),
      reading,
      (lines, maxLines, maxBytes, reads) => {
        const content = Buffer.from(lines.map((one) => `${one}\n`).join(""));
        const rules = smallEntry({ multiline: { start: "^START" } }, { maxLines, maxBytes });
        const { records } = ship(rules, content, { ...sizesIn(reads, content.length), flush: FINAL_FLUSH });
        let open = 0;
        for (const { value, part } of records) {
          assert.ok(value.split("\n").length <= maxLines);
          assert.ok(value.length <= maxBytes || !value.includes("\n"));
          if (open > 0) assert.equal(part, part?.includes("/") ? `${open + 1}/${open + 1}` : `${open + 1}`);
          open = part === undefined || part.includes("/") ? 0 : open + 1;
        }
        assert.equal(open, 0);
        assert.equal(records.map(({ value }) => `${value}\n`).join(""), content.toString());
      },
    );
    fc.assert(property, { numRuns: 1500 });
  });
});
