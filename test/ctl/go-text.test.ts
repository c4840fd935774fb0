import assert from "node:assert/strict";
import { suite, test } from "node:test";
import fc from "fast-check";
import { goJson } from "../../ctl/format/go-json.ts";
import {
  formatBytes,
  formatDuration,
  goQuote,
  goUnquote,
  parseCount,
  parseDuration,
  parseInt64,
} from "../../ctl/go-text.ts";
import { splitWords } from "../../ctl/txn-lines.ts";

suite("Go's texts", () => {
  test("goQuote() escapes as %q does", () => {
    // Each right side is what Go 1.26's fmt.Sprintf("%q") gave for the left.
    const cases: readonly (readonly [string | Buffer, string])[] = [
      ["", '""'],
      ['a"b\\c', '"a\\"b\\\\c"'],
      ["\u0007\b\f\n\r\t\v\0\u007f", '"\\a\\b\\f\\n\\r\\t\\v\\x00\\x7f"'],
      ["é世😀", '"é世😀"'],
      ["\u00a0\u200b\u2028\ufeff", '"\\u00a0\\u200b\\u2028\\ufeff"'],
      ["\u{e0001}", '"\\U000e0001"'],
      [Buffer.from([0xff, 0xc3, 0x28, 0xe4, 0xb8]), '"\\xff\\xc3(\\xe4\\xb8"'],
      [Buffer.from([0xed, 0xa0, 0x80]), '"\\xed\\xa0\\x80"'],
      ["\ufffd", '"\ufffd"'],
    ];
    for (const [text, quoted] of cases) assert.equal(goQuote(Buffer.from(text)), quoted);
  });

  test("goUnquote() reads what goQuote() wrote, for all bytes", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
        assert.deepEqual(goUnquote(goQuote(bytes)), Buffer.from(bytes));
      }),
    );
  });

  test("goUnquote() takes back quotes, and refuses bad escapes", () => {
    assert.equal(goUnquote("`a\\n`")?.toString(), "a\\n");
    assert.equal(goUnquote('"\\101\\u00e9"')?.toString(), "Aé");
    for (const bad of ['"\\q"', '"\\x1"', '"\\U00110000"', '"\\777"', '"a"b"']) {
      assert.equal(goUnquote(bad), undefined, bad);
    }
  });

  test("parseInt64() and parseCount() keep to 64 bits, and to what a number holds", () => {
    assert.equal(parseInt64("7fffffffffffffff", 16), 2n ** 63n - 1n);
    assert.equal(parseInt64("-8000000000000000", 16), -(2n ** 63n));
    assert.equal(parseInt64("-1", 16), -1n);
    assert.throws(() => parseInt64("8000000000000000", 16), /value out of range/);
    assert.throws(() => parseInt64("0x1", 16), /invalid syntax/);
    assert.throws(() => parseInt64("", 10), /strconv\.ParseInt: parsing "": invalid syntax/);
    assert.equal(parseCount("-5"), -5);
    assert.throws(() => parseCount("9223372036854775807"), /value out of range/);
  });

  test("durations are read and written as Go does", () => {
    assert.equal(parseDuration("1m30.5s"), 90_500);
    assert.throws(() => parseDuration("5"), /time: missing unit in duration "5"/);
    assert.throws(() => parseDuration(""), /time: invalid duration ""/);
    const written: readonly (readonly [number, string])[] = [
      [0, "0s"],
      [0.000_5, "500ns"],
      [0.001_5, "1.5µs"],
      [1.652946, "1.652946ms"],
      [2_500, "2.5s"],
      [60_000, "1m0s"],
      [3_723_004, "1h2m3.004s"],
    ];
    for (const [ms, text] of written) assert.equal(formatDuration(ms), text);
  });

  test("formatBytes() counts in powers of 1000", () => {
    const cases: readonly (readonly [number, string])[] = [
      [0, "0 B"],
      [9, "9 B"],
      [10, "10 B"],
      [999, "999 B"],
      [1_000, "1.0 kB"],
      [20_480, "20 kB"],
      [82_854_982, "83 MB"],
      [2_147_483_648, "2.1 GB"],
    ];
    for (const [bytes, text] of cases) assert.equal(formatBytes(bytes), text);
  });

  test("goJson() writes 64-bit integers as digits, bytes as base64, and escapes for HTML", () => {
    const value = {
      id: 18_446_744_073_709_551_615n,
      key: Buffer.from([0xff, 0xfe]),
      text: "<a&b>\u2028",
      none: null,
    };
    assert.equal(
      goJson(value),
      '{"id":18446744073709551615,"key":"//4=","text":"\\u003ca\\u0026b\\u003e\\u2028","none":null}',
    );
  });

  test("splitWords() keeps spaces in quotes", () => {
    assert.deepEqual(splitWords(`put "a b" 'c "d"' e\\ "\\x41\\n"`), ["put", "a b", 'c "d"', "e\\", "A\n"]);
    assert.throws(() => splitWords('put "\\q" x'), /bad quoted string/);
  });
});
