import type { Scanner } from "./scanner.ts";
import type { SourceContext } from "./source-context.ts";
import type { FileStamp, TailedFile } from "./tailed-file.ts";

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
    if (this.#context.turns.isUnsettled(file.key)) {
      this.#context.unsettled.addClosed(file, this.#holder);
      this.#shut(file);
      return;
    }
    file.content.detach();
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

  #shut(file: TailedFile): void {
    this.#scanner.forget(file);
    file.close();
    this.#context.deps.deletedFiles.forget(file);
  }
}
