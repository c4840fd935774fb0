import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { Writable } from "node:stream";
import { describe, it } from "node:test";
import { CodedError } from "../../../base/errors.ts";
import { BatchedSink } from "../../../logagent/sink/batched-sink.ts";
import { LineBatch } from "../../../logagent/sink/line-batch.ts";
import { StreamDestination } from "../../../logagent/sink/stream-destination.ts";
import { type ContractBed, sinkContract } from "./contract.ts";
import { RecordedFile, testDeps } from "./recorded-file.ts";

/** A stream whose reader can stop reading. */
class StoppableStream extends Writable {
  readonly taken: Buffer[] = [];
  isStopped = false;
  writes = 0;
  #held: (() => void)[] = [];

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    const take = () => {
      this.writes += 1;
      this.taken.push(Buffer.from(chunk));
      done();
    };
    if (this.isStopped) this.#held.push(take);
    else setImmediate(take);
  }

  go(): void {
    this.isStopped = false;
    for (const take of this.#held.splice(0)) take();
  }
}

async function newStdoutBed(): Promise<ContractBed> {
  let stream = new StoppableStream();
  let topics = 0;
  return {
    oversized: { bytes: 1_000_000, outcome: "arrives" },
    newTopic: async () => `topic-${topics++}`,
    unusedTopic: () => `topic-${topics++}`,
    createTopic: async () => undefined,
    open: ({ maxInFlightBytes } = {}) => {
      stream = new StoppableStream();
      const destination = new StreamDestination(stream);
      return new BatchedSink({ destination, deps: testDeps(), maxInFlightBytes });
    },
    arrived: async () => {
      const text = Buffer.concat(stream.taken).toString("latin1");
      assert.ok(text === "" || text.endsWith("\n"));
      return text
        .split("\n")
        .slice(0, -1)
        .map((line) => ({ value: Buffer.from(line, "latin1") }));
    },
    away: async () => {
      stream.isStopped = true;
    },
    back: async () => stream.go(),
    roundTrips: () => stream.writes,
    [Symbol.asyncDispose]: async () => undefined,
  };
}

sinkContract("stdout sink", newStdoutBed);

describe("StreamDestination", () => {
  it("send() waits with a reason once the reader is gone", async () => {
    const child = spawn("true", { stdio: ["pipe", "ignore", "ignore"] });
    const exited = once(child, "exit");
    await using sink = new BatchedSink({
      destination: new StreamDestination(child.stdin),
      deps: testDeps(),
    });
    await exited;
    const file = new RecordedFile("pipe");
    await sink.deliver(file.next("t", ["nobody reads this"]), { signal: AbortSignal.timeout(5_000) });
    await assert.rejects(sink.flush({ signal: AbortSignal.timeout(300) }), { name: "TimeoutError" });
    const status = sink.topic("t");
    assert.ok(status.kind === "waiting");
    assert.match(status.reason, /^Cannot write to standard output: /);
    assert.equal(file.settledBytes, 0);
  });

  it("close() while a write is pending leaves an end of the reader without harm", async () => {
    const gone: string[] = [];
    let fail: (error: Error) => void = () => undefined;
    const stream = new Writable({
      write: (_chunk, _encoding, done) => {
        fail = done;
      },
    });
    const destination = new StreamDestination(stream, (error) => gone.push(error.code));
    const batch = new LineBatch(1_024);
    batch.append(new RecordedFile("pipe").next("t", ["x"]), { first: 0, lineOverheadBytes: 0 });
    const sent = assert.rejects(destination.send({ topic: "t", partition: 0 }, batch), { code: "EPIPE" });
    await destination.close();
    const closed = new Promise<void>((resolve) => stream.once("close", resolve));
    fail(new CodedError("EPIPE", "broken pipe"));
    await sent;
    await closed;
    assert.deepEqual(gone, []);
  });
});
