/** Which config runs, and which was refused. */
export interface ConfigState {
  /** Undefined: none yet. `origin` is the disk while the store has not been reached since the start. */
  readonly applied:
    | { readonly revision: number; readonly entries: number; readonly origin: "store" | "disk" }
    | undefined;
  /** The newest value, when it does not validate; what is applied keeps running. */
  readonly failed: { readonly revision: number; readonly reason: string } | undefined;
  /** The store has no config and a lower revision than the applied one: it lost its history, or is another store. */
  readonly storeIsOlder: boolean;
  /** Why the last good config on disk is behind the applied one; undefined: it is not, as far as is known. */
  readonly saveFailure: string | undefined;
}
