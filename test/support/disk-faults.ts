import { execFileSync } from "node:child_process";
import { closeSync, mkdirSync, openSync, writeFileSync, writeSync } from "node:fs";
import path from "node:path";
import { temporaryFolder } from "./process.ts";

/**
 * Variables that make `logstore` obey a {@link DiskFaults} in its data folder, or another program in `folder`, which lies in the one
 * that the faults were made with. Needs a C compiler; throws with a sentence where there is none.
 */
export function diskFaultsEnv(folder?: string): Readonly<Record<string, string>> {
  library ??= build();
  return { LD_PRELOAD: library, ...(folder === undefined ? {} : { DISK_FAULTS_FOLDER: folder }) };
}

let library: string | undefined;

/** What the disk of one member suffers from, now; it may be changed at any time. */
export class DiskFaults {
  readonly #file: string;

  /** `memberFolder` holds the data folder; to be made before the member is started. */
  constructor(memberFolder: string) {
    mkdirSync(memberFolder, { recursive: true });
    this.#file = path.join(memberFolder, "disk-faults");
    writeFileSync(this.#file, Buffer.alloc(16));
    this.heal();
  }

  /** Each sync takes so much longer. */
  slow(delayMs: number): void {
    this.#set(delayMs * 1_000, -1);
  }

  /** Files can grow by so much, and then there is no space left. */
  full(freeBytes: number): void {
    this.#set(0, freeBytes);
  }

  heal(): void {
    this.#set(0, -1);
  }

  /** In place: the member has the file mapped. */
  #set(syncDelayUs: number, freeBytes: number): void {
    const numbers = Buffer.alloc(16);
    numbers.writeBigInt64LE(BigInt(syncDelayUs), 0);
    numbers.writeBigInt64LE(BigInt(freeBytes), 8);
    const file = openSync(this.#file, "r+");
    writeSync(file, numbers, 0, numbers.length, 0);
    closeSync(file);
  }
}

function build(): string {
  const source = path.join(import.meta.dirname, "disk-faults.c");
  const target = path.join(temporaryFolder("disk-faults"), "disk-faults.so");
  try {
    execFileSync("cc", ["-O1", "-Wall", "-Werror", "-shared", "-fPIC", "-o", target, source, "-ldl"], {
      stdio: ["ignore", "ignore", "pipe"],
    });
  } catch (error) {
    throw new Error(
      "Cannot build the disk that is slow or full: the tests need a C compiler, `cc` on the PATH",
      {
        cause: error,
      },
    );
  }
  return target;
}
