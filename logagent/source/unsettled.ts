import type { LossReason } from "../checkpoint/loss.ts";
import type { CheckpointRecord } from "../checkpoint/record.ts";
import type { ContentLedger } from "./content-ledger.ts";
import type { SourceContext } from "./source-context.ts";
import type { TailedFile } from "./tailed-file.ts";

/** What was delivered and is not acknowledged of contents that are not held any more; their acknowledgements still count. */
export class Unsettled {
  readonly #context: SourceContext;
  /** Truncated away, rewritten, or given up. */
  readonly #replaced = new Map<CheckpointRecord, ContentLedger>();
  /** By key: files that gave way to others. They stay claimed, for whoever opens them goes on behind what is acknowledged. */
  readonly #closed = new Map<string, { readonly file: TailedFile; readonly holder: object }>();

  constructor(context: SourceContext) {
    this.#context = context;
  }

  get isEmpty(): boolean {
    return this.#replaced.size + this.#closed.size === 0;
  }

  *contents(): Iterable<ContentLedger> {
    yield* this.#replaced.values();
    for (const { file } of this.#closed.values()) yield file.content;
  }

  /** Enters as lost what was not delivered of a file's content; what is delivered may still be acknowledged. */
  leave(file: TailedFile, reason: LossReason): void {
    this.#context.lostRest(file.record, file.offset, reason);
    this.keep(file);
  }

  /** Of a file's content everything is delivered, or said to be lost; what is delivered may still be acknowledged. */
  keep({ content, offset }: TailedFile): void {
    const { record } = content;
    // Until the last of it is acknowledged, its record says after a crash what was lost; and no less was seen of it than delivered.
    this.#context.deps.checkpoints.saw(record, offset);
    this.#replaced.set(record, content);
  }

  /** Has its file another content by now, while not all that was sent of it is acknowledged? */
  isReplaced(record: CheckpointRecord): boolean {
    return this.#replaced.has(record);
  }

  addClosed(file: TailedFile, holder: object): void {
    this.#closed.set(file.key, { file, holder });
  }

  /** A file that is closed was found to have another content. */
  foundReplaced(key: string): void {
    const { file } = this.#closed.get(key) ?? {};
    if (file === undefined) return;
    this.leave(file, "rewritten in place");
    this.#giveBack(key);
  }

  dropSettled(): void {
    for (const [record, content] of this.#replaced) {
      if (!content.isSettled) continue;
      content.detach();
      this.#context.deps.checkpoints.remove(record);
      this.#replaced.delete(record);
    }
    for (const [key, { file }] of this.#closed) {
      if (!file.content.isSettled) continue;
      file.content.detach();
      this.#giveBack(key);
    }
  }

  /** Nobody waits for them any more. */
  close(): void {
    for (const content of this.contents()) content.detach();
    this.#replaced.clear();
    for (const key of [...this.#closed.keys()]) this.#giveBack(key);
  }

  /** The file may be opened again, by anybody. */
  #giveBack(key: string): void {
    const { turns, deps } = this.#context;
    const { holder } = this.#closed.get(key) ?? {};
    this.#closed.delete(key);
    turns.settled(key);
    if (holder !== undefined) deps.claims.release(key, holder);
  }
}
