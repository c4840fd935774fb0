import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { BatchLedger } from "../../../logagent/sink/batch-ledger.ts";
import { RecordedFile } from "./recorded-file.ts";

function add(
  ledger: BatchLedger,
  file: RecordedFile,
  lines: readonly string[],
  range?: readonly [number, number],
): void {
  const { spans } = file.next("t", lines);
  const [first, end] = range ?? [0, lines.length];
  ledger.add(file, spans, { first, end, lineOverheadBytes: 10 });
}

describe("BatchLedger", () => {
  it("acked() reports a contiguous range of a file in one call", () => {
    const ledger = new BatchLedger();
    const [a, b] = [new RecordedFile("a"), new RecordedFile("b")];
    add(ledger, a, ["1", "22"]);
    add(ledger, a, ["333"]);
    add(ledger, b, ["x"]);
    add(ledger, a, ["4444"]);
    assert.deepEqual([ledger.lines, ledger.bytes, ledger.chargedBytes], [5, 16, 66]);
    ledger.acked();
    assert.deepEqual(a.settled, [
      { from: 0, to: 9, lines: 3 },
      { from: 9, to: 14, lines: 1 },
    ]);
    assert.deepEqual(b.settled, [{ from: 0, to: 2, lines: 1 }]);
  });

  it("add() of a part of a delivery ends where the next part starts", () => {
    const [left, right] = [new BatchLedger(), new BatchLedger()];
    const file = new RecordedFile("a");
    const { spans } = file.next("t", ["1", "22", "333"]);
    left.add(file, spans, { first: 0, end: 2, lineOverheadBytes: 0 });
    right.add(file, spans, { first: 2, end: 3, lineOverheadBytes: 0 });
    left.acked();
    right.rejected("too long");
    assert.deepEqual(file.settled, [
      { from: 0, to: 5, lines: 2 },
      { from: 5, to: 9, lines: 1, reason: "too long" },
    ]);
  });

  it("splitAt() cuts between any two lines", () => {
    for (let at = 1; at < 7; at++) {
      const ledger = new BatchLedger();
      const [a, b] = [new RecordedFile("a"), new RecordedFile("b")];
      add(ledger, a, ["1", "22", "333"]);
      add(ledger, b, ["4444"]);
      add(ledger, a, ["55555", "6", "7"]);
      const parts = ledger.splitAt(at);
      assert.deepEqual(
        parts.map(({ lines }) => lines),
        [at, 7 - at],
      );
      assert.equal(parts[0].chargedBytes + parts[1].chargedBytes, ledger.chargedBytes);
      const rest = parts[1].lines > 1 ? parts[1].splitAt(1) : [parts[1]];
      for (const part of rest) part.acked();
      parts[0].acked();
      a.assertComplete();
      b.assertComplete();
      assert.equal(a.settledLines + b.settledLines, 7);
    }
  });
});
