import assert from "node:assert/strict";
import { test } from "node:test";
import { loadStoreConfig } from "../../conf/load-store-config.ts";
import { UsageError } from "../../conf/store-command-line.ts";

function gates(...argv: string[]) {
  const command = loadStoreConfig(argv, {});
  assert.ok(command.kind === "run");
  return command.settings.featureGates;
}

test("--feature-gates are etcd's, both checks off by default", () => {
  const off = { CompactHashCheck: false, InitialCorruptCheck: false };
  assert.deepEqual(gates(), off);
  assert.deepEqual(gates("--feature-gates="), off);
  assert.deepEqual(gates("--feature-gates=CompactHashCheck=true"), { ...off, CompactHashCheck: true });
  assert.deepEqual(gates("--feature-gates", "InitialCorruptCheck = 1 ,CompactHashCheck=F,"), {
    ...off,
    InitialCorruptCheck: true,
  });
  assert.deepEqual(gates("--feature-gates=CompactHashCheck=false,AllAlpha=true"), {
    CompactHashCheck: false,
    InitialCorruptCheck: true,
  });
  assert.deepEqual(gates("--feature-gates=LeaseCheckpoint=true,AllBeta=false"), off);
});

test("--feature-gates that change nothing here are told of", () => {
  const command = loadStoreConfig([], { ETCD_FEATURE_GATES: "LeaseCheckpoint=true,CompactHashCheck=true" });
  assert.ok(command.kind === "run");
  const names = ["ETCD_FEATURE_GATES LeaseCheckpoint"];
  assert.deepEqual(command.warnings, [{ message: "settings of etcd that have no effect here", names }]);
});

test("--feature-gates and --compact-hash-check-time are refused in etcd's words", () => {
  const refused: readonly (readonly [argument: string, message: string])[] = [
    [
      "--feature-gates=X=true",
      'invalid value "X=true" for flag -feature-gates: unrecognized feature gate: X',
    ],
    [
      "--feature-gates=CompactHashCheck",
      'invalid value "CompactHashCheck" for flag -feature-gates: missing bool value for CompactHashCheck',
    ],
    [
      "--feature-gates=CompactHashCheck=maybe",
      'invalid value "CompactHashCheck=maybe" for flag -feature-gates: invalid value of CompactHashCheck=maybe, ' +
        'err: strconv.ParseBool: parsing "maybe": invalid syntax',
    ],
    [
      "--feature-gates=toString=true",
      'invalid value "toString=true" for flag -feature-gates: unrecognized feature gate: toString',
    ],
    ["--compact-hash-check-time=0", "--compact-hash-check-time must be >0 (set to 0s)"],
    ["--compact-hash-check-time=-2s", "--compact-hash-check-time must be >0 (set to -2s)"],
  ];
  for (const [argument, message] of refused) {
    assert.throws(
      () => gates(argument),
      (error) => error instanceof UsageError && error.message === message,
      argument,
    );
  }
});
