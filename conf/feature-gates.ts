import { isGoBoolean } from "./go-values.ts";
import { UsageError } from "./store-command-line.ts";

/** Gates of etcd 3.7 (features/etcd_features.go) that change something here, with etcd's defaults. */
const DEFAULT_GATES = { CompactHashCheck: false, InitialCorruptCheck: false };

/** Stands for each of them that is not named: both are of etcd's stage "alpha". */
const ALL_ALPHA = "AllAlpha";

/** Gates that change nothing here: accepted, so that what is written for etcd goes on working. */
const GATES_WITHOUT_EFFECT: ReadonlySet<string> = new Set([
  "AllBeta",
  "FastLeaseKeepAlive",
  "LeaseCheckpoint",
  "LeaseCheckpointPersist",
  "PriorityRequest",
  "SetMemberLocalAddr",
  "StopGRPCServiceOnDefrag",
  "TxnModeWriteWithSharedBuffer",
]);

export type FeatureGates = typeof DEFAULT_GATES;

/** Reads `--feature-gates`: `name=bool,…`. Throws UsageError with etcd's words (pkg/featuregate). */
export function parseFeatureGates(text: string): FeatureGates {
  const given = parse(text);
  const gate = (name: keyof FeatureGates) => given.get(name) ?? given.get(ALL_ALPHA) ?? DEFAULT_GATES[name];
  return {
    CompactHashCheck: gate("CompactHashCheck"),
    InitialCorruptCheck: gate("InitialCorruptCheck"),
  };
}

/** The gates in it that are known and do not count. Throws as {@link parseFeatureGates} does. */
export function gatesWithoutEffect(text: string): readonly string[] {
  return [...parse(text).keys()].filter((name) => GATES_WITHOUT_EFFECT.has(name));
}

function parse(text: string): ReadonlyMap<string, boolean> {
  const given = new Map<string, boolean>();
  for (const part of text.split(",").filter((pair) => pair !== "")) {
    const [name = "", ...rest] = part.split("=").map((side) => side.trim());
    const value = rest.join("=");
    if (rest.length === 0) throw refusal(text, `missing bool value for ${name}`);
    if (!isGoBoolean(value)) {
      const reason = `strconv.ParseBool: parsing ${JSON.stringify(value)}: invalid syntax`;
      throw refusal(text, `invalid value of ${name}=${value}, err: ${reason}`);
    }
    given.set(name, /^[1tT]/.test(value));
  }
  for (const name of given.keys()) {
    if (!Object.hasOwn(DEFAULT_GATES, name) && name !== ALL_ALPHA && !GATES_WITHOUT_EFFECT.has(name)) {
      throw refusal(text, `unrecognized feature gate: ${name}`);
    }
  }
  return given;
}

function refusal(text: string, why: string): UsageError {
  return new UsageError(`invalid value ${JSON.stringify(text)} for flag -feature-gates: ${why}`);
}
