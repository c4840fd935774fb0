import assert from "node:assert/strict";
import { test } from "node:test";
import { Tally } from "../../deploy/tour/account.ts";

const line = (name: string, number: number) => `2026-01-01T00:00:00.000Z ${name} #${number} GET /`;

test("Tally.account() tells lost lines from duplicated and late ones", () => {
  const tally = new Tally();
  for (const number of [1, 2, 4, 3, 2, 6]) tally.add(line("app", number));
  tally.add(line("api", 1));
  assert.deepEqual(tally.account("app", 6), {
    name: "app",
    written: 6,
    delivered: 5,
    lost: 1,
    duplicated: 1,
    outOfOrder: 1,
  });
  assert.deepEqual(tally.account("api", 1).lost, 0);
  assert.equal(tally.account("silent", 3).lost, 3);
});

test("Tally.add() refuses a line that no writer wrote", () => {
  assert.throws(() => new Tally().add("2026-01-01T00:00:00.000Z ap"), /nobody wrote/);
});
