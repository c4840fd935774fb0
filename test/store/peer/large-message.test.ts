import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { FRAME_HEADER_BYTES, FRAME_PAYLOAD_BYTES_MAX } from "../../../store/peer/frame.ts";
import { MessageParts } from "../../../store/peer/message-parts.ts";
import { PEER_LIMITS, type PeerLimits } from "../../../store/peer/peer-limits.ts";
import type { AppendMessage, Message } from "../../../store/raft/message.ts";
import { append, dialAs, heartbeat, pair, TestMember, until, wiredPair } from "./peer-bed.ts";

const MIB = 1024 * 1024;
const PONG_BYTES = FRAME_HEADER_BYTES + 1;
const limits: Partial<PeerLimits> = { messageBytesMax: 65 * MIB, silentLooksMax: 1_000_000 };

/** Its place in the order of arrival is what counts: data are compared where they matter. */
function nameOf(message: Message): string {
  if (message.kind === "append") return `append ${message.prev.index + 1}`;
  return message.kind === "heartbeat" ? `heartbeat ${message.commit}` : message.kind;
}

/** An append behind entry `index` that carries none. */
function probe(index: number): AppendMessage {
  return { ...append(1n, 2n, index + 1, 0), entries: [] };
}

function sent(member: TestMember, mib: number): Promise<void> {
  return until(() => member.countersOf(2n).sentBytes > mib * MIB, `${mib} MiB have left`);
}

/** Both with these limits. */
function wired(own: Partial<PeerLimits> = {}) {
  return wiredPair({ one: { ...limits, ...own }, two: { ...limits, ...own } });
}

suite("TcpTransport and large messages", () => {
  test("heartbeats that are offered behind an append of 64 MiB arrive before it", async () => {
    const [one, two] = await pair({ limits });
    await using _one = one;
    await using _two = two;
    const large = append(1n, 2n, 1, 64 * MIB);
    one.transport.send([large, heartbeat(1n, 2n, 1)]);
    for (const mib of [1, 10, 30]) {
      await sent(one, mib);
      one.transport.send([heartbeat(1n, 2n, 1 + mib)]);
    }
    await until(() => two.received.length === 5, "all arrived");
    assert.deepEqual(two.received.map(nameOf), [
      "heartbeat 1",
      "heartbeat 2",
      "heartbeat 11",
      "heartbeat 31",
      "append 1",
    ]);
    assert.deepEqual(two.received.at(-1), large);
    await until(() => one.transport.waitingBytes(2n) === 0, "nothing waits");
    const { sentMessages, droppedMessages } = one.countersOf(2n);
    assert.deepEqual([sentMessages, droppedMessages, one.unreachables], [5, 0, []]);
  });

  test("appends stay in order, whatever their sizes, and even when they are empty", async () => {
    const [one, two] = await pair({ limits: { ...limits, outgoingBytesMax: 64 * MIB } });
    await using _one = one;
    await using _two = two;
    const { partBytes } = PEER_LIMITS;
    const sizes = [10, 5 * MIB, 0, partBytes - 67, partBytes - 66, partBytes - 65, 3 * MIB, 1, MIB, 20];
    const appends = sizes.flatMap((bytes, index) => [append(1n, 2n, index + 1, bytes), probe(index + 1)]);
    one.transport.send(appends);
    await until(() => two.received.length === appends.length, "all arrived");
    assert.deepEqual(two.received, appends);
  });

  test("pings are answered while a large message is under way", async () => {
    const [one, two] = await pair({ limits: { ...limits, pingIntervalMs: 1 } });
    await using _one = one;
    await using _two = two;
    const before = one.countersOf(2n).receivedBytes;
    let answered = 0;
    two.onReceive = () => {
      answered = (one.countersOf(2n).receivedBytes - before) / PONG_BYTES;
    };
    one.transport.send([append(1n, 2n, 1, 64 * MIB)]);
    await until(() => two.received.length === 1, "it arrived");
    // One may have been under way before.
    assert.ok(answered >= 2, `${answered} pings were answered`);
  });

  test("no turn gives the socket more than its limit and one part, which is all that waits there", async () => {
    const turns: (() => void)[] = [];
    await using two = await TestMember.start(2n, { limits });
    await using one = await TestMember.start(1n, { limits, later: (work) => turns.push(work) });
    one.knows(two);
    await until(() => one.transport.isActive(2n), "it is connected");
    one.transport.send([append(1n, 2n, 1, 20 * MIB)]);
    let most = 0;
    while (two.received.length === 0) {
      const before = one.countersOf(2n).sentBytes;
      for (const turn of turns.splice(0)) turn();
      most = Math.max(most, one.countersOf(2n).sentBytes - before);
      await new Promise((resolve) => setImmediate(resolve));
    }
    const { socketBytesMax, partBytes } = PEER_LIMITS;
    assert.ok(most >= socketBytesMax && most < socketBytesMax + partBytes, `${most} bytes left in a turn`);
  });

  test("while a large message leaves, heartbeats and empty appends find room, other entries do not", async () => {
    await using bed = await wired({ outgoingBytesMax: 10 * MIB });
    const { one, two, wire } = bed;
    wire.hang();
    one.transport.send([append(1n, 2n, 1, 60 * MIB)]);
    await sent(one, 1);
    const waiting = one.transport.waitingBytes(2n);
    assert.ok(waiting > 10 * MIB && waiting < 61 * MIB, `${waiting} bytes wait`);
    one.transport.send([heartbeat(1n, 2n, 1), probe(1), append(1n, 2n, 2, 10), heartbeat(1n, 2n, 2)]);
    assert.equal(one.countersOf(2n).droppedMessages, 1);
    wire.heal();
    await until(() => two.received.length === 4, "the others arrived");
    assert.deepEqual(two.received.map(nameOf), ["heartbeat 1", "heartbeat 2", "append 1", "append 2"]);
    await until(() => one.transport.waitingBytes(2n) === 0, "nothing waits");
  });

  test("an append that waits is not sent twice", async () => {
    await using bed = await wired({ outgoingBytesMax: 64 * MIB });
    const { one, two, wire } = bed;
    wire.hang();
    const large = append(1n, 2n, 1, 20 * MIB);
    one.transport.send([large]);
    await sent(one, 1);
    one.transport.send([large, { ...large, commit: 1 }, append(1n, 2n, 2, 5)]);
    wire.heal();
    await until(() => two.received.length === 2, "they arrived");
    one.transport.send([large]);
    await until(() => two.received.length === 3, "what does not wait any more is sent again");
    assert.deepEqual(two.received.map(nameOf), ["append 1", "append 2", "append 1"]);
    assert.equal(one.countersOf(2n).droppedMessages, 0);
  });

  test("a connection that breaks in the middle of a message takes all of it along; the next one works", async () => {
    await using bed = await wired();
    const { one, two, wire } = bed;
    const large = append(1n, 2n, 1, 60 * MIB);
    for (let round = 1; round <= 3; round += 1) {
      wire.hang();
      const before = one.countersOf(2n).sentBytes;
      one.transport.send([large]);
      await until(() => one.countersOf(2n).sentBytes > before + MIB, "some of it has left");
      wire.cut();
      await until(() => one.unreachables.length === round, "its loss was told");
      wire.heal();
      await until(() => one.transport.isActive(2n), "it is connected again");
      assert.equal(one.transport.waitingBytes(2n), 0);
      assert.equal(one.countersOf(2n).droppedMessages, round);
      one.transport.send([heartbeat(1n, 2n, round)]);
      await until(() => two.received.length === round, "it is heard again");
    }
    assert.deepEqual(two.received.map(nameOf), ["heartbeat 1", "heartbeat 2", "heartbeat 3"]);
    one.transport.send([large]);
    await until(() => two.received.length === 4, "the whole of it arrived");
    assert.deepEqual(two.received.slice(3), [large]);
  });

  test("parts that do not follow each other end the connection, and nothing of them is taken", async () => {
    await using two = await TestMember.start(2n);
    two.transport.setPeers(new Map([[1n, { peerUrls: ["http://127.0.0.1:9"] }]]));
    const parts = new MessageParts(append(1n, 2n, 1, 100_000), { partBytes: 20_000 });
    const [first, second, third] = [parts.next(), parts.next(), parts.next()];
    const cases: [Buffer[], RegExp][] = [
      [[second], /expected the bytes at 0, not at 20000/],
      [[first, third], /expected the bytes at 20000, not at 40000/],
      [[first, second, first], /expected the bytes at 40000, not at 0/],
    ];
    for (const [frames, reason] of cases) {
      const channel = await dialAs(1n, two);
      for (const frame of frames) channel.write(frame);
      await channel.closed;
      await until(() => two.logged("closed connection from peer").length === 1, "it was logged");
      assert.match(String(two.logged("closed connection from peer")[0]?.reason), reason);
      two.lines.length = 0;
      two.transport.setPeers(new Map());
      two.transport.setPeers(new Map([[1n, { peerUrls: ["http://127.0.0.1:9"] }]]));
    }
    assert.deepEqual(two.received, []);
  });

  test("a part of the default size fits into a frame", () => {
    const part = new MessageParts(append(1n, 2n, 1, MIB), PEER_LIMITS).next();
    assert.ok(part.length - FRAME_HEADER_BYTES <= FRAME_PAYLOAD_BYTES_MAX);
  });
});
