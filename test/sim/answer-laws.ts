import type { KeyValue } from "../../store/proto/gen/kv.ts";
import { Violation } from "../support/violation.ts";
import type { Chronicle, Span } from "./chronicle.ts";
import type { SimProcess } from "./sim-process.ts";

/** A range's answer is what the history says of its revision. */
export function assertRange(
  chronicle: Chronicle,
  span: Span,
  answer: { readonly revision: number; readonly kvs: readonly KeyValue[]; readonly what: string },
): void {
  chronicle.whenTold(answer.revision, () => assertToldRange(chronicle, span, answer));
}

function assertToldRange(
  chronicle: Chronicle,
  span: Span,
  { revision, kvs, what }: Parameters<typeof assertRange>[2],
): void {
  const expected = chronicle.range(span, revision);
  const isSame =
    expected.length === kvs.length &&
    kvs.every((kv, i) => {
      const state = expected[i];
      return (
        state?.key === kv.key.toString("latin1") &&
        state.value === kv.value.toString("latin1") &&
        state.revision === kv.modRevision &&
        state.createRevision === kv.createRevision &&
        state.version === kv.version &&
        state.lease === kv.lease
      );
    });
  if (isSame) return;
  const found = kvs.map(({ key, modRevision }) => `${key}@${modRevision}`).join(" ");
  const told = expected.map((state) => `${state.key}@${state.revision}`).join(" ");
  throw new Violation("linearizable", `${what} at revision ${revision} saw [${found}], expected [${told}]`);
}

/** A compare-and-swap has compared with what was there just before it. */
export function assertTxn(
  chronicle: Chronicle,
  answer: {
    readonly key: string;
    readonly expected: number;
    readonly succeeded: boolean;
    readonly revision: number;
    readonly what: string;
  },
): void {
  const { key, expected, succeeded, revision, what } = answer;
  const before = chronicle.at(key, succeeded ? revision - 1 : revision)?.revision ?? 0;
  if ((before === expected) === succeeded) return;
  throw new Violation(
    "linearizable",
    `${what} ${succeeded ? "succeeded" : "did not succeed"} at ${revision}, where ${key} was of revision ${before}`,
  );
}

/** A deletion has taken away, in its revision, all that was in its range just before, and told how much that was. */
export function assertCleared(
  chronicle: Chronicle,
  span: Span,
  answer: { readonly revision: number; readonly deleted: number; readonly what: string },
): void {
  const { revision, deleted, what } = answer;
  const before = chronicle.range(span, deleted > 0 ? revision - 1 : revision).length;
  const gone = deleted > 0 ? chronicle.deletedIn(span, revision) : 0;
  if (before === deleted && gone === deleted) return;
  throw new Violation(
    "linearizable",
    `${what} deleted ${deleted} at ${revision}, where ${before} were there and ${gone} went`,
  );
}

const lastSeen = new WeakMap<SimProcess, WeakMap<object, number>>();

/** One client that reads one life of one member without a quorum never sees it go back. */
export function assertSerializable(client: object, process: SimProcess, revision: number): void {
  const ofProcess = lastSeen.get(process) ?? new WeakMap<object, number>();
  lastSeen.set(process, ofProcess);
  const before = ofProcess.get(client) ?? 0;
  if (revision < before) {
    throw new Violation("monotone", `${process.name} went back from revision ${before} to ${revision}`);
  }
  ofProcess.set(client, revision);
}
