import type { KeyValue } from "../../../store/client/types.ts";
import type { Reply, SeenKey } from "./history.ts";

/** Which keys a read asks for. */
export type Span = { readonly key: string } | { readonly prefix: string };

/** Registers as one kind of client uses them: whatever becomes of a call, it resolves. */
export interface RegisterClient extends Disposable {
  readonly name: string;
  /** One revision, however many keys. */
  put(keys: readonly string[], value: string): Promise<Reply<{ readonly revision: number }>>;
  delete(key: string): Promise<Reply<{ readonly revision: number; readonly deleted: number }>>;
  /** Puts if the key was last changed at `expected` (0: it is absent), else reads it. */
  swap(
    key: string,
    expected: number,
    value: string,
  ): Promise<
    Reply<{ readonly revision: number; readonly succeeded: boolean; readonly kvs: readonly SeenKey[] }>
  >;
  read(
    span: Span,
    options: { readonly stale: boolean },
  ): Promise<Reply<{ readonly revision: number; readonly kvs: readonly SeenKey[] }>>;
}

/** What the store says of a write that it has not done, and will not do. */
const REFUSALS = new Set([
  "NoLeader",
  "TooManyRequests",
  "NoSpace",
  "LeaseNotFound",
  "Compacted",
  "FutureRev",
  "NotSupportedForLearner",
]);

/** Whether an answer with this code of the store's table says that nothing was written. */
export function isRefusal(code: string | undefined): boolean {
  return code !== undefined && REFUSALS.has(code);
}

export function seenKeys(kvs: readonly KeyValue[]): readonly SeenKey[] {
  return kvs.map(({ key, value, createRevision, modRevision: revision, version, lease }) => ({
    key: key.toString(),
    value: value.toString(),
    revision,
    createRevision,
    version,
    lease,
  }));
}

/** The end of a prefix that ends in "/": the character behind that. */
export function endOfPrefix(prefix: string): string {
  return `${prefix.slice(0, -1)}0`;
}
