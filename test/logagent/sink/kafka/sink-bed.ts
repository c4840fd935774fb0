import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { openSink } from "../../../../logagent/sink/open-sink.ts";
import type { SinkDeps, SinkOptions } from "../../../../logagent/sink/options.ts";
import type { Sink } from "../../../../logagent/sink/port.ts";
import { RecordedFile, testDeps } from "../recorded-file.ts";
import { sinkOptions } from "../sink-options.ts";
import { FakeCluster } from "./fake-cluster.ts";

export const within = (ms: number): AbortSignal => AbortSignal.timeout(ms);

/** Bytes of a batch that holds two of the lines below, and not three. */
const TWO_LINES = 500;

/** A sink at a fake cluster, and a file whose lines go to it, two in a batch. */
export class SinkBed implements AsyncDisposable {
  readonly cluster: FakeCluster;
  readonly sink: Sink;
  readonly topic = "t";
  readonly codes: string[] = [];
  readonly sent: string[] = [];
  readonly file: RecordedFile;

  private constructor(cluster: FakeCluster, options: Partial<SinkOptions>, deps: Partial<SinkDeps>) {
    this.cluster = cluster;
    this.file = new RecordedFile("f");
    const observer = { onError: ({ code }: { code: string }) => void this.codes.push(code) };
    this.sink = openSink(
      sinkOptions({ brokers: cluster.brokers, ...options }),
      testDeps({ observer, ...deps }),
    );
  }

  static async start(
    options: Partial<SinkOptions> = {},
    more: { readonly nodes?: number; readonly deps?: Partial<SinkDeps> } = {},
  ): Promise<SinkBed> {
    const cluster = await FakeCluster.start(more.nodes);
    cluster.maxMessageBytes = TWO_LINES;
    cluster.createTopic("t");
    return new SinkBed(cluster, options, more.deps ?? {});
  }

  /** Hands over the next `count` lines of the file. */
  async deliver(count: number, text = "x".repeat(120)): Promise<void> {
    const lines = Array.from({ length: count }, (_, i) => `${this.sent.length + i} ${text}`);
    this.sent.push(...lines);
    await this.sink.deliver(this.file.next(this.topic, lines), { signal: within(20_000) });
  }

  async flush(): Promise<void> {
    await this.sink.flush({ signal: within(20_000) });
  }

  /** Every line is settled, and stands in the log once, in order. */
  assertExactlyOnce(partition = 0): void {
    this.file.assertComplete();
    assert.deepEqual(this.cluster.log(this.topic, partition).lines, this.sent);
  }

  /** `producer id from 1/epoch/base sequence` of each batch in the log. */
  stamps(partition = 0): readonly string[] {
    return this.cluster.log(this.topic, partition).stamps.map(stampText);
  }

  /** Likewise, of each batch that arrived. */
  arrivals(): readonly string[] {
    return this.cluster.calls.map(({ stamp }) => stampText(stamp));
  }

  /** The reason why the topic waits, once it does. */
  async reason(pattern: RegExp): Promise<void> {
    let status = this.sink.topic(this.topic);
    for (let i = 0; i < 750; i++) {
      status = this.sink.topic(this.topic);
      if (status.kind === "waiting" && pattern.test(status.reason)) return;
      await sleep(20);
    }
    assert.fail(`topic ${this.topic} is ${JSON.stringify(status)} after 15 s, expected ${pattern}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.sink.close();
    await this.cluster[Symbol.asyncDispose]();
  }
}

export async function until(condition: () => boolean): Promise<void> {
  for (let i = 0; i < 750 && !condition(); i++) await sleep(20);
  assert.ok(condition(), "it became true within 15 s");
}

function stampText({
  producerId,
  epoch,
  baseSequence,
}: {
  producerId: bigint;
  epoch: number;
  baseSequence: number;
}) {
  return `${producerId === -1n ? "none" : producerId - 1000n}/${epoch}/${baseSequence}`;
}
