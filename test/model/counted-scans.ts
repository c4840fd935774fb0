import { ScanQueue } from "../../logagent/source/scan-queue.ts";

/** Scans of which it is known how many go on: what they unpack takes its time in the thread pool. */
export class CountedScans extends ScanQueue {
  running = 0;

  override async run(scan: () => Promise<void>, options: { readonly signal: AbortSignal }): Promise<void> {
    this.running += 1;
    try {
      await super.run(scan, options);
    } finally {
      this.running -= 1;
    }
  }
}
