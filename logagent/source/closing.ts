import { followContent, takeNext } from "./content-change.ts";
import { presentPath } from "./open-file.ts";
import { keepDoubt } from "./read-trouble.ts";
import type { Scanner } from "./scanner.ts";
import type { SourceContext } from "./source-context.ts";
import type { FileStamp, TailedFile } from "./tailed-file.ts";
import { rememberUnread } from "./unread.ts";

/** Lets go of files, none of which ships. */
export class Closing {
  readonly #context: SourceContext;
  readonly #scanner: Scanner;
  /** Who claims them. */
  readonly #holder: object;

  constructor(parts: {
    readonly context: SourceContext;
    readonly scanner: Scanner;
    readonly holder: object;
  }) {
    this.#context = parts.context;
    this.#scanner = parts.scanner;
    this.#holder = parts.holder;
  }

  /** Closes a file that is watched by its name from now on. `stamp`: how it was then, if that is not as it is now. */
  release(file: TailedFile, stamp?: FileStamp): void {
    this.#scanner.letGo(file, stamp);
    this.close(file);
  }

  /** What is not acknowledged of one that gave way still counts when it is. */
  close(file: TailedFile): void {
    keepDoubt(file, this.#context);
    if (this.#context.turns.isUnsettled(file)) {
      this.#context.unsettled.addClosed(file, this.#holder);
      this.#shut(file);
      return;
    }
    this.#lookForName(file);
    file.content.detach();
    if (this.#leave(file)) return;
    this.drop(file);
    if (file.isDeleted && file.content.isSettled && file.offset >= file.size) {
      this.#scanner.finished(file.record);
    }
  }

  /** Closes a file of which nothing more is to be known. */
  drop(file: TailedFile): void {
    const { claims } = this.#context.deps;
    this.#shut(file);
    claims.release(file.isUnpacked ? file.record.id : file.key, this.#holder);
  }

  /** A deleted file that is not shipped to its end is for the task that goes on with it, if there may be one. */
  #leave(file: TailedFile): boolean {
    const { claims, leftFiles } = this.#context.deps;
    // A shorter one has another content. What was unpacked is found again in the compressed file.
    const isDeletedUnread = file.isDeleted && file.size !== file.record.offset;
    if (leftFiles === undefined || file.isUnpacked || !isDeletedUnread) return false;
    if (!leftFiles.isOpen) {
      leftFiles.abandon(file.record);
      return false;
    }
    this.#forget(file);
    claims.release(file.key, this.#holder);
    const { lanePath, record, dev, ino, birthtimeNs } = file;
    const identity = { dev, ino, birthtimeNs };
    leftFiles.leave({ fd: file.takeDescriptor(), identity, record, lanePath });
    return true;
  }

  #shut(file: TailedFile): void {
    this.#forget(file);
    file.close();
  }

  #forget(file: TailedFile): void {
    this.#scanner.forget(file);
    this.#context.deps.deletedFiles.forget(file);
  }

  /** Has its name gone since the last look? Then this is one like any other: it may be deleted, or have another name still. */
  #lookForName(file: TailedFile): void {
    if (file.isUnpacked) return;
    try {
      if (presentPath(file.fd) !== undefined) return;
      followContent(file, file.look(this.#context.deps.clock.monotonicMs()), this.#context);
      takeNext(file, this.#context);
      rememberUnread(file, this.#context);
    } catch {
      // Nobody could read on; whatever goes wrong with one, the others are closed as well.
    }
  }
}
