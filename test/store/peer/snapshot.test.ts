import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { crc32c } from "@node-rs/crc32";
import { systemLater } from "../../../base/later.ts";
import { encodeFrame, FRAME_TYPE } from "../../../store/peer/frame.ts";
import { encodeMessage } from "../../../store/peer/message-codec.ts";
import { openChannel } from "../../../store/peer/open-channel.ts";
import { PEER_LIMITS } from "../../../store/peer/peer-limits.ts";
import type { TcpTransportOptions } from "../../../store/peer/tcp-transport.ts";
import type { SnapshotContent } from "../../../store/peer/transport.ts";
import type { SnapshotMessage } from "../../../store/raft/message.ts";
import { CLUSTER, heartbeat, pair, TestMember, until } from "./peer-bed.ts";

const MIB = 1024 * 1024;
const never = new AbortController().signal;

function snapshotTo(to: bigint): SnapshotMessage {
  const confState = {
    voters: [1n, 2n],
    votersOutgoing: [],
    learners: [9n],
    learnersNext: [],
    autoLeave: false,
  };
  return { kind: "snapshot", from: 1n, to, term: 4, snapshot: { term: 3, index: 1_000, confState } };
}

const SNAPSHOT = snapshotTo(2n);

/** Content that is made while it is read, and tells how much of it was asked for and whether it was closed. */
class GeneratedContent implements SnapshotContent {
  readonly bytes: number;
  readonly body: AsyncIterable<Uint8Array>;
  pulledBytes = 0;
  crc = 0;
  isClosed = false;

  /** `claimed`: what it says of its length, where that is not true. */
  constructor(bytes: number, options: { readonly claimed?: number; readonly pieceBytes?: number } = {}) {
    this.bytes = options.claimed ?? bytes;
    this.body = this.#generate(bytes, options.pieceBytes ?? MIB);
  }

  async *#generate(bytes: number, pieceBytes: number): AsyncGenerator<Uint8Array> {
    try {
      for (let at = 0; at < bytes; at += pieceBytes) {
        const piece = Buffer.alloc(Math.min(pieceBytes, bytes - at), at / pieceBytes);
        this.pulledBytes += piece.length;
        this.crc = crc32c(piece, this.crc);
        yield piece;
      }
    } finally {
      this.isClosed = true;
    }
  }
}

/** Two connected members; what the second takes in is summed up. */
async function bed(options: Partial<TcpTransportOptions> = {}) {
  const [one, two] = await pair(options);
  const taken = { messages: [] as SnapshotMessage[], bytes: 0, crc: 0, errors: [] as unknown[] };
  two.onSnapshot = async (message, body) => {
    try {
      for await (const piece of body) {
        taken.bytes += piece.byteLength;
        taken.crc = crc32c(piece, taken.crc);
      }
      taken.messages.push(message);
    } catch (error) {
      taken.errors.push(error);
      throw error;
    }
  };
  const close = async () => {
    await one.transport.close();
    await two.transport.close();
  };
  return { one, two, taken, [Symbol.asyncDispose]: close };
}

suite("sendSnapshot()", () => {
  test("resolves when the receiver has taken all of it", async () => {
    await using members = await bed();
    const { one, two, taken } = members;
    for (const bytes of [0, 1, 5 * MIB + 17]) {
      taken.bytes = 0;
      taken.crc = 0;
      const content = new GeneratedContent(bytes, { pieceBytes: 700_001 });
      await one.transport.sendSnapshot(SNAPSHOT, content, { signal: never });
      assert.deepEqual([taken.bytes, taken.crc], [bytes, content.crc]);
      assert.equal(content.isClosed, true);
    }
    assert.deepEqual(taken.messages, [SNAPSHOT, SNAPSHOT, SNAPSHOT]);
    await until(() => one.countersOf(2n).activeConnections === 2, "its connections are gone");
    assert.deepEqual([one.countersOf(2n).snapshotsSent, two.countersOf(1n).snapshotsReceived], [3, 3]);
  });

  test("heartbeats flow while 200 MB are under way, and no more is read than the receiver takes", async () => {
    await using members = await bed();
    const { one, two } = members;
    const content = new GeneratedContent(200 * MIB);
    let bytes = 0;
    let crc = 0;
    let held = 0;
    two.onSnapshot = async (_message, body) => {
      for await (const piece of body) {
        bytes += piece.byteLength;
        crc = crc32c(piece, crc);
        if (bytes < (held + 1) * 50 * MIB || held === 3) continue;
        // The way is full of the snapshot by now, and stays so until the heartbeats have arrived.
        held += 1;
        two.received.length = 0;
        for (let commit = 0; commit < 20; commit += 1) {
          one.transport.send([heartbeat(1n, 2n, commit)]);
          two.transport.send([heartbeat(2n, 1n, commit)]);
          await until(() => two.received.length === commit + 1, "the heartbeat arrived");
        }
        const onTheirWay = content.pulledBytes - bytes;
        assert.ok(onTheirWay < 20 * MIB, `${onTheirWay} bytes are on their way`);
      }
    };
    await one.transport.sendSnapshot(SNAPSHOT, content, { signal: never });
    assert.deepEqual([bytes, crc, held], [200 * MIB, content.crc, 3]);
    assert.equal(one.received.length, 60);
    assert.deepEqual([one.countersOf(2n).disconnects, one.countersOf(2n).droppedMessages], [0, 0]);
  });

  test("aborted half way rejects with the signal's reason, and the receiver's body throws", async () => {
    await using members = await bed();
    const { one, two, taken } = members;
    const content = new GeneratedContent(100 * MIB);
    const controller = new AbortController();
    const sent = one.transport.sendSnapshot(SNAPSHOT, content, controller);
    await until(() => taken.bytes > 10 * MIB, "some of it has arrived");
    const reason = new Error("the leader has stepped down");
    controller.abort(reason);
    await assert.rejects(sent, (error) => error === reason);
    assert.equal(content.isClosed, true);
    await until(() => taken.errors.length === 1, "the receiver knows");
    assert.match(String(taken.errors[0]), /PeerError: Connection with .* (?:was closed|failed)/);
    assert.deepEqual(taken.messages, []);
    assert.ok(taken.bytes < 100 * MIB);
    await until(() => two.countersOf(1n).snapshotReceiveFailures === 1, "it is counted");
    assert.equal(one.countersOf(2n).snapshotSendFailures, 1);
    assert.equal(one.transport.isActive(2n), true);
  });

  test("aborted before it began sends nothing and closes the body", async () => {
    await using members = await bed();
    const content = new GeneratedContent(MIB);
    const reason = new Error("no longer wanted");
    const sent = members.one.transport.sendSnapshot(SNAPSHOT, content, { signal: AbortSignal.abort(reason) });
    await assert.rejects(sent, (error) => error === reason);
    assert.equal(content.pulledBytes, 0);
  });

  test("rejects with the receiver's reason, at once, when it does not want any more", async () => {
    await using members = await bed();
    const { one, two } = members;
    two.onSnapshot = async (_message, body) => {
      for await (const _piece of body) throw new Error("Cannot write snapshot: no space left on device");
    };
    const content = new GeneratedContent(100 * MIB);
    await assert.rejects(one.transport.sendSnapshot(SNAPSHOT, content, { signal: never }), {
      code: "EPEERSNAPSHOT",
      message:
        "Cannot send snapshot at index 1000 to 2: the receiver refused it: Cannot write snapshot: no space left on device",
    });
    assert.ok(content.pulledBytes < 50 * MIB, `${content.pulledBytes} bytes were read in vain`);
    assert.equal(content.isClosed, true);
    assert.match(String(two.logged("could not take a snapshot")[0]?.reason), /no space left/);
  });

  test("rejects when the receiver refuses behind the last byte", async () => {
    await using members = await bed();
    const { one, two } = members;
    two.onSnapshot = async (_message, body) => {
      for await (const _piece of body);
      throw new Error("its checksum is another one");
    };
    await assert.rejects(one.transport.sendSnapshot(SNAPSHOT, new GeneratedContent(MIB), { signal: never }), {
      message: /the receiver refused it: its checksum is another one$/,
    });
  });

  test("rejects when the receiver goes away half way", async () => {
    await using members = await bed();
    const { one, two, taken } = members;
    const content = new GeneratedContent(500 * MIB);
    const sent = one.transport.sendSnapshot(SNAPSHOT, content, { signal: never });
    const rejected = assert.rejects(sent, { code: "EPEERSNAPSHOT" });
    await until(() => taken.bytes > 5 * MIB, "some of it has arrived");
    await two.transport.close();
    await rejected;
    assert.equal(content.isClosed, true);
    assert.equal(taken.errors.length, 1);
  });

  test("rejects when the peer leaves the cluster half way", async () => {
    await using members = await bed();
    const { one, taken } = members;
    const sent = one.transport.sendSnapshot(SNAPSHOT, new GeneratedContent(500 * MIB), { signal: never });
    const rejected = assert.rejects(sent, { message: /no longer talked with/ });
    await until(() => taken.bytes > 5 * MIB, "some of it has arrived");
    one.knows();
    await rejected;
    await until(() => taken.errors.length === 1, "the receiver knows");
  });

  test("rejects, and closes the body, for a peer that is unknown or cannot be reached", async () => {
    await using one = await TestMember.start(1n);
    one.knows([2n, "http://127.0.0.1:9"]);
    for (const to of [2n, 3n]) {
      const content = new GeneratedContent(MIB);
      await assert.rejects(one.transport.sendSnapshot(snapshotTo(to), content, { signal: never }), {
        code: "EPEERSNAPSHOT",
      });
      assert.equal(content.pulledBytes, 0);
    }
  });

  test("rejects content that is not as long as it says", async () => {
    await using members = await bed();
    const { one, taken } = members;
    for (const claimed of [3 * MIB - 1, 3 * MIB + 1]) {
      const content = new GeneratedContent(3 * MIB, { claimed });
      const sent = one.transport.sendSnapshot(SNAPSHOT, content, { signal: never });
      await assert.rejects(sent, { code: "EPEERSNAPSHOT", message: /3145728 bytes/ });
      await until(() => one.countersOf(2n).activeConnections === 2, "its connection is gone");
    }
    await until(() => taken.errors.length === 2, "the receiver knows");
    assert.deepEqual(taken.messages, []);
  });

  test("rejects when the source of the content fails", async () => {
    await using members = await bed();
    const body = (async function* () {
      yield Buffer.alloc(MIB);
      throw new Error("EIO: i/o error, read");
    })();
    await assert.rejects(
      members.one.transport.sendSnapshot(SNAPSHOT, { bytes: 2 * MIB, body }, { signal: never }),
      {
        message: "Cannot send snapshot at index 1000 to 2: EIO: i/o error, read",
      },
    );
    await until(() => members.taken.errors.length === 1, "the receiver knows");
  });

  test("a second one from the same peer is refused while the first is under way", async () => {
    await using members = await bed();
    const { one, two, taken } = members;
    const go = Promise.withResolvers<void>();
    const take = two.onSnapshot;
    two.onSnapshot = async (message, body) => {
      await go.promise;
      await take(message, body);
    };
    const first = one.transport.sendSnapshot(SNAPSHOT, new GeneratedContent(MIB), { signal: never });
    await until(() => two.countersOf(1n).activeConnections === 3, "the first has begun");
    const second = one.transport.sendSnapshot(SNAPSHOT, new GeneratedContent(MIB), { signal: never });
    await assert.rejects(second, { message: /peer 2 is taking a snapshot from this member already$/ });
    go.resolve();
    await first;
    assert.deepEqual([taken.messages, taken.bytes], [[SNAPSHOT], MIB]);
  });
});

suite("a snapshot that does not move", () => {
  test("is given up by the sender when the receiver does not take it", async () => {
    await using members = await bed({ limits: { snapshotStallMs: 100 } });
    const { one, two } = members;
    const end = Promise.withResolvers<void>();
    two.onSnapshot = () => end.promise;
    const sent = one.transport.sendSnapshot(SNAPSHOT, new GeneratedContent(100 * MIB), { signal: never });
    await assert.rejects(sent, { message: /to 2: nothing of it moved for 100 ms$/ });
    end.reject(new Error("the test is over"));
  });

  test("is given up when its source gives nothing more", async () => {
    await using members = await bed({ limits: { snapshotStallMs: 100 } });
    const { one, taken } = members;
    const end = Promise.withResolvers<void>();
    const body = (async function* () {
      yield Buffer.alloc(1_000);
      await end.promise;
    })();
    const sent = one.transport.sendSnapshot(SNAPSHOT, { bytes: 2_000, body }, { signal: never });
    await assert.rejects(sent, { code: "EPEERSNAPSHOT", message: /nothing of it (?:moved|came) for 100 ms/ });
    await until(() => taken.errors.length === 1, "the receiver knows");
    end.resolve();
  });

  test("is waited for while the receiver says that it is still at it", async () => {
    await using members = await bed({ limits: { snapshotStallMs: 50 } });
    const { one, two } = members;
    const go = Promise.withResolvers<void>();
    two.onSnapshot = async (_message, body) => {
      for await (const _piece of body);
      await go.promise;
    };
    const sent = one.transport.sendSnapshot(SNAPSHOT, new GeneratedContent(MIB), { signal: never });
    const before = one.countersOf(2n).receivedBytes;
    // Far more signs of life than there are looks in a stall.
    await until(() => one.countersOf(2n).receivedBytes - before > 9 * 40, "it says so again and again");
    go.resolve();
    await sent;
  });

  test("is not waited for without end", async () => {
    await using members = await bed({ limits: { snapshotStallMs: 100, snapshotTakeMs: 150 } });
    const { one, two } = members;
    const end = Promise.withResolvers<void>();
    two.onSnapshot = async (_message, body) => {
      for await (const _piece of body);
      await end.promise;
    };
    const sent = one.transport.sendSnapshot(SNAPSHOT, new GeneratedContent(MIB), { signal: never });
    await assert.rejects(sent, { message: /the receiver did not take it within 150 ms$/ });
    end.reject(new Error("the test is over"));
  });
});

suite("receiving a snapshot", () => {
  const START = encodeFrame(FRAME_TYPE.snapshotStart, (target) => {
    target.safeUint64(2_000);
    encodeMessage(SNAPSHOT, target);
  });
  const CHUNK = encodeFrame(FRAME_TYPE.snapshotChunk, (target) => target.bytes(Buffer.alloc(1_000)));
  const END = encodeFrame(FRAME_TYPE.snapshotEnd, (target) => target.safeUint64(2_000));
  const other = encodeFrame(FRAME_TYPE.snapshotStart, (target) => {
    target.safeUint64(2_000);
    encodeMessage({ ...SNAPSHOT, from: 3n }, target);
  });
  const damaged = Buffer.from(CHUNK);
  damaged[500]! ^= 4;

  const cases: [string, Buffer[], RegExp][] = [
    ["one that is damaged on the way", [START, CHUNK, damaged, END], /Cannot read frame: expected a CRC/],
    ["one that ends too early", [START, CHUNK, END], /1000 bytes came, expected 2000/],
    ["one that goes on too long", [START, CHUNK, CHUNK, CHUNK], /3000 bytes came, expected 2000/],
    ["one without a start", [CHUNK], /a frame of type 7 came/],
    ["one with two starts", [START, CHUNK, START], /a frame of type 6 came/],
    ["one from another member", [other], /from 3 to 2: expected a snapshot from 1 to 2/],
    [
      "one whose start is no message",
      [encodeFrame(FRAME_TYPE.snapshotStart)],
      /Cannot decode a snapshot's start/,
    ],
  ];
  for (const [what, frames, reason] of cases) {
    test(`refuses ${what}, and tells the sender why`, async () => {
      await using two = await TestMember.start(2n);
      two.transport.setPeers(new Map([[1n, { peerUrls: ["http://127.0.0.1:9"] }]]));
      let taken = 0;
      two.onSnapshot = async (_message, body) => {
        for await (const _piece of body);
        taken += 1;
      };
      const channel = await openChannel(
        two.url,
        { kind: "snapshot", clusterId: CLUSTER, from: 1n, to: 2n, peerUrls: [] },
        {
          limits: PEER_LIMITS,
          later: systemLater,
          meter: { sentBytes: 0, receivedBytes: 0 },
          signal: never,
        },
      );
      channel.write(Buffer.concat(frames));
      const answer = await channel.read();
      assert.equal(answer.type, FRAME_TYPE.snapshotRefused);
      assert.match(answer.body.toString("utf8", 2), reason);
      assert.equal(taken, 0);
      channel.end();
      await until(() => two.countersOf(1n).activeConnections === 0, "it is over");
    });
  }
});
