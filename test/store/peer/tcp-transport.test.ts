import assert from "node:assert/strict";
import { suite, test } from "node:test";
import fc from "fast-check";
import { FieldWriter } from "../../../store/peer/field-writer.ts";
import { encodeFrame, FRAME_TYPE } from "../../../store/peer/frame.ts";
import { encodeMessage } from "../../../store/peer/message-codec.ts";
import { PeerError } from "../../../store/peer/peer-error.ts";
import type { Message } from "../../../store/raft/message.ts";
import { TcpProxy } from "../../support/tcp-proxy.ts";
import { anyMessage } from "./arbitrary-message.ts";
import { append, dialAs, heartbeat, pair, TestMember, until, wiredPair } from "./peer-bed.ts";

function indexesOf(messages: readonly Message[]): number[] {
  return messages.flatMap((message) => (message.kind === "append" ? [message.prev.index + 1] : []));
}

suite("TcpTransport", () => {
  test("send() delivers every kind of message, in order, both ways", async () => {
    const [one, two] = await pair();
    await using _one = one;
    await using _two = two;
    const messages = fc
      .sample(
        anyMessage.filter(({ kind }) => kind !== "snapshot"),
        { numRuns: 500, seed: 7 },
      )
      .map((message) => ({ ...message, from: 1n, to: 2n }));
    const answers = messages.map((message) => ({ ...message, from: 2n, to: 1n }));
    for (let at = 0; at < messages.length; at += 7) {
      one.transport.send(messages.slice(at, at + 7));
      two.transport.send(answers.slice(at, at + 7));
      if (at % 35 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    await until(() => one.received.length + two.received.length === 1_000, "all arrived");
    assert.deepEqual(two.received, messages);
    assert.deepEqual(one.received, answers);
    const counters = one.countersOf(2n);
    assert.deepEqual(
      [counters.sentMessages, counters.receivedMessages, counters.droppedMessages],
      [500, 500, 0],
    );
    assert.equal(counters.activeConnections, 2);
    assert.ok(counters.sentBytes > 500 * 30);
  });

  test("send() gives one write to all messages of a turn", async () => {
    const turns: (() => void)[] = [];
    const [one, two] = await pair();
    await using _two = two;
    await one.transport.close();
    await using again = await TestMember.start(1n, { port: one.port, later: (work) => turns.push(work) });
    again.knows(two);
    await until(() => again.transport.isActive(2n), "it is connected");
    const before = turns.length;
    const sentBytes = () => again.countersOf(2n).sentBytes;
    const pingBytes = sentBytes();
    again.transport.send([heartbeat(1n, 2n, 1), heartbeat(1n, 2n, 2)]);
    again.transport.send([heartbeat(1n, 2n, 3)]);
    again.transport.send([append(1n, 2n, 4, 100)]);
    assert.equal(turns.length, before + 1);
    assert.equal(sentBytes(), pingBytes);
    turns.at(-1)?.();
    assert.equal(again.countersOf(2n).sentMessages, 4);
    await until(() => two.received.length === 4, "they arrived");
  });

  test("send() drops what is for nobody it knows, and for one that is away, and tells that once", async () => {
    await using one = await TestMember.start(1n);
    one.knows([2n, "http://127.0.0.1:9"]);
    for (let commit = 0; commit < 100; commit += 1) one.transport.send([heartbeat(1n, 2n, commit)]);
    one.transport.send([heartbeat(1n, 3n, 1)]);
    await until(() => one.logged("cannot reach peer").length > 0, "it has tried");
    one.transport.send([heartbeat(1n, 2n, 1)]);
    await new Promise((resolve) => setImmediate(resolve));
    assert.deepEqual(one.unreachables, [2n]);
    assert.equal(one.countersOf(2n).droppedMessages, 101);
    assert.equal(one.transport.isActive(2n), false);
    assert.equal(one.transport.isActive(3n), false);
  });

  test("a handler is never called from within send()", async () => {
    await using one = await TestMember.start(1n);
    one.knows([2n, "http://127.0.0.1:9"]);
    one.transport.send([heartbeat(1n, 2n, 1)]);
    assert.deepEqual(one.unreachables, []);
    await until(() => one.unreachables.length === 1, "it was told");
  });

  test("a peer that restarts is reached again, and its loss is told each time", async () => {
    const [one, two] = await pair();
    await using _one = one;
    for (let round = 1; round <= 3; round += 1) {
      if (round === 1) await two.transport.close();
      await until(() => !one.transport.isActive(2n), "it is gone");
      await using again = await TestMember.start(2n, { port: two.port });
      again.knows(one);
      await until(() => one.transport.isActive(2n) && again.transport.isActive(1n), "it is back");
      one.transport.send([heartbeat(1n, 2n, round)]);
      await until(() => again.received.length > 0, "it is heard");
      assert.deepEqual(again.received, [heartbeat(1n, 2n, round)]);
      await until(() => one.unreachables.length === round, "its loss was told");
    }
    assert.deepEqual(one.unreachables.slice(0, 3), [2n, 2n, 2n]);
    assert.ok(one.countersOf(2n).disconnects >= 3);
  });

  test("a peer that shows up is dialled at once, however long the back-off was to be", async () => {
    const limits = { backoff: { baseMs: 3_600_000, maxMs: 3_600_000 } };
    await using one = await TestMember.start(1n, { limits, random: { next: () => 0.9, uint64: () => 1n } });
    const two = await TestMember.start(2n);
    await two.transport.close();
    one.knows(two);
    await until(() => one.logged("cannot reach peer").length > 0, "it has tried");
    await using again = await TestMember.start(2n, { port: two.port });
    again.knows(one);
    await until(() => one.transport.isActive(2n), "it is reached");
  });

  test("a peer is reached at the URL that answers", async () => {
    await using one = await TestMember.start(1n);
    await using two = await TestMember.start(2n);
    const peerUrls = ["https://127.0.0.1:1", "nonsense", "http://127.0.0.1:9", two.url];
    one.transport.setPeers(new Map([[2n, { peerUrls }]]));
    await until(() => one.transport.isActive(2n), "it is connected");
    assert.match(
      String(one.logged("cannot reach peer")[0]?.reason),
      /expected http:\/\/<host>:<port>, not https:/,
    );
  });

  test("setPeers() closes connections to those who have left, and follows those who move", async () => {
    const [one, two] = await pair();
    await using _one = one;
    await using _two = two;
    await using moved = await TestMember.start(2n);
    moved.knows(one);
    one.knows(moved);
    await until(() => one.transport.isActive(2n), "it has followed");
    one.transport.send([heartbeat(1n, 2n, 1)]);
    await until(() => moved.received.length === 1, "the new place heard it");
    assert.deepEqual(two.received, []);
    one.removed.add(2n);
    one.knows();
    assert.equal(one.transport.isActive(2n), false);
    assert.equal(one.transport.counters().size, 0);
    await until(() => !moved.transport.isActive(1n) && moved.removals === 1, "it was let go");
  });

  test("setPeers() keeps a connection when nothing changed", async () => {
    const [one, two] = await pair();
    await using _one = one;
    await using _two = two;
    one.knows(two);
    one.transport.setPeers(
      new Map([
        [2n, { peerUrls: [two.url] }],
        [1n, { peerUrls: [one.url] }],
      ]),
    );
    assert.equal(one.transport.isActive(2n), true);
    assert.equal(one.countersOf(2n).disconnects, 0);
    assert.deepEqual([...one.transport.counters().keys()], [2n]);
  });

  test("close() lets out what was sent before it, and may be called again", async () => {
    const [one, two] = await pair();
    await using _two = two;
    await one.transport.close();
    await using again = await TestMember.start(1n, { port: one.port, limits: { closeMs: 5_000 } });
    again.knows(two);
    await until(() => again.transport.isActive(2n), "it is connected");
    again.transport.send([append(1n, 2n, 1, 10_000_000), heartbeat(1n, 2n, 9)]);
    await Promise.all([again.transport.close(), again.transport.close()]);
    await until(() => two.received.length === 2, "they arrived");
    again.transport.send([heartbeat(1n, 2n, 1)]);
    again.knows(two);
    assert.equal(again.transport.counters().size, 0);
  });
});

suite("TcpTransport under pressure", () => {
  test("a buffer that is full of bytes drops what comes, and holds no more than its limit", async () => {
    const outgoingBytesMax = 1_000_000;
    await using bed = await wiredPair({ one: { outgoingBytesMax } });
    const { one, two, wire } = bed;
    wire.hang();
    let most = 0;
    for (let index = 1; index <= 600; index += 1) {
      one.transport.send([append(1n, 2n, index, 50_000)]);
      most = Math.max(most, one.transport.waitingBytes(2n));
      await new Promise((resolve) => setImmediate(resolve));
    }
    const dropped = one.countersOf(2n).droppedMessages;
    assert.ok(dropped > 0 && dropped < 600, `${dropped} of 600 were dropped`);
    assert.ok(most > outgoingBytesMax / 2 && most < outgoingBytesMax + 1_000, `${most} bytes waited`);
    const told = one.unreachables.length;
    assert.ok(told > 0 && told < dropped, `${dropped} dropped messages were told of ${told} times`);
    wire.heal();
    await until(() => two.received.length === 600 - dropped, "the others arrived");
    const indexes = indexesOf(two.received);
    assert.deepEqual(
      indexes,
      indexes.toSorted((a, b) => a - b),
    );
    await until(() => one.transport.waitingBytes(2n) === 0, "the buffer is empty");
    // It is reachable again: what is lost now is told again.
    wire.hang();
    for (let index = 601; index <= 1_200; index += 1) {
      one.transport.send([append(1n, 2n, index, 50_000)]);
      await new Promise((resolve) => setImmediate(resolve));
    }
    assert.ok(one.unreachables.length > told);
  });

  test("a buffer that is full of messages drops what comes", async () => {
    await using bed = await wiredPair({ one: { outgoingMessagesMax: 10 } });
    const { one, two } = bed;
    one.transport.send(Array.from({ length: 25 }, (_, commit) => heartbeat(1n, 2n, commit)));
    assert.equal(one.countersOf(2n).droppedMessages, 15);
    await until(() => two.received.length === 10, "the first ones arrived");
    one.transport.send([heartbeat(1n, 2n, 99)]);
    await until(() => two.received.length === 11, "there is room again");
    assert.equal(one.countersOf(2n).droppedMessages, 15);
  });

  test("a message larger than the buffer passes alone", async () => {
    await using bed = await wiredPair({ one: { outgoingBytesMax: 1_000 } });
    const { one, two } = bed;
    one.transport.send([append(1n, 2n, 1, 3_000_000), append(1n, 2n, 2, 10)]);
    await until(() => two.received.length === 1, "it arrived");
    assert.deepEqual(two.received, [append(1n, 2n, 1, 3_000_000)]);
    assert.equal(one.countersOf(2n).droppedMessages, 1);
  });

  test("a message larger than a peer takes is dropped, and an error in the log", async () => {
    await using bed = await wiredPair({ one: { messageBytesMax: 1_000 } });
    const { one, two } = bed;
    one.transport.send([heartbeat(1n, 2n, 1), append(1n, 2n, 1, 1_000), heartbeat(1n, 2n, 2)]);
    await until(() => two.received.length === 2, "the others arrived");
    assert.deepEqual(two.received, [heartbeat(1n, 2n, 1), heartbeat(1n, 2n, 2)]);
    assert.equal(one.logged("larger than a peer takes")[0]?.level, "error");
    assert.deepEqual(one.unreachables, [2n]);
  });

  test("a receiver gives way to others after so many bytes, and loses nothing", async () => {
    let turns = 0;
    await using two = await TestMember.start(2n, {
      limits: { receiveBytesPerTurn: 1 },
      later: (work) => {
        turns += 1;
        setImmediate(work);
      },
    });
    await using one = await TestMember.start(1n);
    one.knows(two);
    await until(() => one.transport.isActive(2n), "it is connected");
    one.transport.send(Array.from({ length: 100 }, (_, index) => append(1n, 2n, index + 1, 10_000)));
    await until(() => two.received.length === 100, "all arrived");
    assert.deepEqual(
      indexesOf(two.received),
      Array.from({ length: 100 }, (_, index) => index + 1),
    );
    assert.ok(turns >= 1_000_000 / 65_536, `${turns} turns were given`);
  });
});

suite("TcpTransport and silence", () => {
  test("an idle connection stays", async () => {
    const [one, two] = await pair({ limits: { pingIntervalMs: 5, silentLooksMax: 20 } });
    await using _one = one;
    await using _two = two;
    // Pings and their answers only: far more of them than the silent looks that would end it.
    await until(() => one.countersOf(2n).receivedBytes > 9 * 60, "many pings were answered");
    assert.deepEqual([one.countersOf(2n).disconnects, two.countersOf(1n).disconnects], [0, 0]);
    assert.ok(one.countersOf(2n).roundTripMs > 0);
  });

  test("a connection that is open and silent is closed on both sides, and made anew", async () => {
    const limits = { pingIntervalMs: 10, silentLooksMax: 5, dialMs: 100 };
    await using one = await TestMember.start(1n, { limits });
    await using two = await TestMember.start(2n, { limits });
    await using wire = await TcpProxy.start(two.url);
    one.knows([2n, wire.endpoint]);
    two.transport.setPeers(new Map([[1n, { peerUrls: ["http://127.0.0.1:9"] }]]));
    await until(() => one.transport.isActive(2n), "it is connected");
    wire.hang();
    await until(() => !one.transport.isActive(2n), "the sender has noticed");
    await until(() => two.countersOf(1n).activeConnections === 0, "the receiver has noticed");
    // Whoever notices first closes it for both.
    const reasons = [one.logged("lost connection")[0]?.reason, two.logged("closed connection")[0]?.reason];
    assert.match(reasons.join("\n"), /was silent for 50 ms$/m);
    await until(() => one.unreachables.length > 0, "it was told");
    assert.deepEqual(one.unreachables, [2n]);
    wire.heal();
    await until(() => one.transport.isActive(2n), "it is connected again");
    one.transport.send([heartbeat(1n, 2n, 3)]);
    await until(() => two.received.length === 1, "it is heard again");
  });

  test("a listener that takes connections and answers nothing is given up in time", async () => {
    await using two = await TestMember.start(2n);
    await using wire = await TcpProxy.start(two.url);
    wire.hang();
    await using one = await TestMember.start(1n, { limits: { dialMs: 20 } });
    one.knows([2n, wire.endpoint]);
    await until(() => wire.accepted > 2, "it has tried again");
    assert.match(String(one.logged("cannot reach peer")[0]?.reason), /no answer within 20 ms$/);
  });
});

suite("TcpTransport and peers that misbehave", () => {
  function messageFrame(message: Message): Buffer {
    return encodeFrame(FRAME_TYPE.message, (target) => encodeMessage(message, target));
  }

  test("what a peer may not send ends its connection, and nothing of it is taken", async () => {
    const confState = { voters: [1n], votersOutgoing: [], learners: [], learnersNext: [], autoLeave: false };
    const cases: [Buffer, RegExp][] = [
      [messageFrame(heartbeat(3n, 2n, 1)), /from 3 to 2: expected messages from 1 to 2/],
      [messageFrame(heartbeat(1n, 3n, 1)), /from 1 to 3: expected messages from 1 to 2/],
      [
        messageFrame({
          kind: "snapshot",
          from: 1n,
          to: 2n,
          term: 1,
          snapshot: { term: 1, index: 1, confState },
        }),
        /"snapshot" from 1 to 2: .* snapshots on their own connection/,
      ],
      [encodeFrame(FRAME_TYPE.snapshotEnd), /Cannot use frame of type 8/],
      [encodeFrame(FRAME_TYPE.message), /Cannot decode a peer's message/],
      [
        encodeFrame(FRAME_TYPE.messagePart),
        /Cannot use part of a message: expected more than 16 bytes, not 0/,
      ],
      [
        encodeFrame(FRAME_TYPE.messagePart, (target) => target.bytes(Buffer.alloc(100, 1))),
        /Cannot decode a part/,
      ],
      [
        encodeFrame(FRAME_TYPE.message, (target) => target.bytes(Buffer.alloc(1024 * 1024))),
        /Cannot read frame: expected a length from 1 to 1048576, not 1048577/,
      ],
      [Buffer.alloc(64, 0xee), /Cannot read frame/],
    ];
    await using two = await TestMember.start(2n);
    for (const [bytes, reason] of cases) {
      two.lines.length = 0;
      two.transport.setPeers(new Map([[1n, { peerUrls: ["http://127.0.0.1:9"] }]]));
      const channel = await dialAs(1n, two);
      channel.write(bytes);
      await channel.closed;
      await until(() => two.logged("closed connection from peer").length === 1, "it was logged");
      assert.match(String(two.logged("closed connection from peer")[0]?.reason), reason);
      two.transport.setPeers(new Map());
    }
    assert.deepEqual(two.received, []);
  });

  test("a second connection of a peer takes the place of the first", async () => {
    await using two = await TestMember.start(2n);
    two.transport.setPeers(new Map([[1n, { peerUrls: ["http://127.0.0.1:9"] }]]));
    const first = await dialAs(1n, two);
    const second = await dialAs(1n, two);
    await first.closed;
    second.write(messageFrame(heartbeat(1n, 2n, 4)));
    await until(() => two.received.length === 1, "the second is heard");
    assert.equal(two.countersOf(1n).activeConnections, 1);
    second.destroy(new PeerError("EPEERCLOSED", "done"));
  });

  test("bytes that were changed on the way never reach the member as a message", async () => {
    const [one, two] = await pair();
    await using _one = one;
    await using _two = two;
    two.transport.setPeers(
      new Map([
        [1n, { peerUrls: [one.url] }],
        [3n, { peerUrls: ["http://127.0.0.1:9"] }],
      ]),
    );
    const input = fc.tuple(fc.array(anyMessage, { minLength: 1, maxLength: 4 }), fc.nat(), fc.boolean());
    await fc.assert(
      fc.asyncProperty(input, async ([messages, flip, isCut]) => {
        two.received.length = 0;
        const target = new FieldWriter();
        const sent: Message[] = messages.map((message) => ({ ...message, from: 3n, to: 2n }));
        for (const message of sent) target.bytes(messageFrame(message));
        const bytes = target.take();
        bytes[(flip >> 3) % bytes.length]! ^= 1 << (flip & 7);
        const channel = await dialAs(3n, two);
        channel.write(isCut ? bytes.subarray(0, flip % bytes.length) : bytes);
        channel.end();
        await until(() => two.countersOf(3n).activeConnections === 0, "it has ended");
        assert.ok(two.received.length < sent.length);
        assert.deepEqual(two.received, sent.slice(0, two.received.length));
      }),
      { numRuns: 60 },
    );
    one.transport.send([heartbeat(1n, 2n, 77)]);
    await until(() => two.received.at(-1)?.from === 1n, "others are heard as before");
  });
});
