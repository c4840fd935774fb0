import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:net";
import { suite, test } from "node:test";
import { crc32c } from "@node-rs/crc32";
import fc from "fast-check";
import {
  encodeFrame,
  FRAME_HEADER_BYTES,
  FRAME_TYPE,
  type Frame,
  FrameDecoder,
} from "../../../store/peer/frame.ts";
import {
  type Answer,
  decodeAnswer,
  decodeHello,
  encodeAnswer,
  encodeHello,
  HANDSHAKE_BYTES_MAX,
  type Hello,
} from "../../../store/peer/handshake.ts";
import { PeerError } from "../../../store/peer/peer-error.ts";
import { PEER_LIMITS } from "../../../store/peer/peer-limits.ts";
import { ManualClock } from "../../support/manual-clock.ts";
import { CLUSTER, heartbeat, TestMember, until } from "./peer-bed.ts";

const HELLO: Hello = {
  kind: "messages",
  clusterId: CLUSTER,
  from: 1n,
  to: 2n,
  peerUrls: ["http://10.0.0.1:2380"],
};
const id = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });

function frameOf(bytes: Buffer): Frame {
  const decoder = new FrameDecoder(HANDSHAKE_BYTES_MAX);
  decoder.push(bytes);
  const frame = decoder.next();
  assert.ok(frame !== undefined);
  return frame;
}

suite("handshake", () => {
  test("decodeHello() gives back an encoded hello", () => {
    const hello = fc.tuple(
      fc.constantFrom("messages" as const, "snapshot" as const),
      id,
      id,
      id,
      fc.array(fc.webUrl(), { maxLength: 5 }),
    );
    fc.assert(
      fc.property(hello, ([kind, clusterId, from, to, peerUrls]) => {
        const said: Hello = { kind, clusterId, from, to, peerUrls };
        assert.deepEqual(decodeHello(frameOf(encodeHello(said))), said);
      }),
    );
  });

  test("decodeHello() refuses a newer format version, and names both", () => {
    const frame = frameOf(encodeHello(HELLO));
    frame.body.writeUInt16LE(7, 8);
    assert.throws(() => decodeHello({ type: frame.type, body: frame.body.subarray(0, 10) }), {
      code: "EPEERVERSION",
      message: "Cannot talk with peer: format version 7, expected 1 or less",
    });
  });

  test("decodeHello() and decodeAnswer() take or refuse whatever they are given", () => {
    const hello = encodeHello(HELLO);
    const answer = encodeAnswer({ refusal: "busy", clusterId: 1n, memberId: 2n });
    fc.assert(
      fc.property(fc.boolean(), fc.nat(), fc.array(fc.nat(), { maxLength: 4 }), (isHello, cut, flips) => {
        const body = Buffer.from((isHello ? hello : answer).subarray(FRAME_HEADER_BYTES + 1));
        for (const flip of flips) body[(flip >> 3) % body.length]! ^= 1 << (flip & 7);
        const frame = {
          type: isHello ? FRAME_TYPE.hello : FRAME_TYPE.answer,
          body: body.subarray(0, cut % (body.length + 1)),
        };
        try {
          if (isHello) decodeHello(frame);
          else decodeAnswer(frame);
        } catch (error) {
          assert.ok(error instanceof PeerError, `${String(error)} is a PeerError`);
        }
      }),
      { numRuns: 2_000 },
    );
  });

  test("decodeAnswer() reads what it knows of a newer version's answer", () => {
    const frame = frameOf(encodeAnswer({ refusal: "version", clusterId: 5n, memberId: 6n }));
    const body = Buffer.concat([frame.body, Buffer.from("more")]);
    body.writeUInt16LE(2, 8);
    const expected: Answer = { refusal: "version", clusterId: 5n, memberId: 6n, version: 2 };
    assert.deepEqual(decodeAnswer({ type: frame.type, body }), expected);
  });
});

suite("refusals on both sides", () => {
  test("a member of another cluster is refused with etcd's words", async () => {
    await using one = await TestMember.start(1n, { clusterId: 0xabcn });
    await using two = await TestMember.start(2n);
    two.knows(one);
    one.knows(two);
    const said = "request sent was ignored by remote peer due to cluster ID mismatch";
    await until(() => one.logged(said).length > 0 && two.logged(said).length > 0, "both were refused");
    assert.equal(
      one.logged(said)[0]?.reason,
      "request sent was ignored (cluster ID mismatch: peer[2]=cdf818194e3a8c32, local=abc)",
    );
    const [line] = two.logged("request cluster ID mismatch");
    assert.equal(line?.level, "warn");
    assert.equal(line?.peerCluster, "abc");
    assert.equal(line?.cluster, "cdf818194e3a8c32");
    assert.match(String(line?.remote), /^127\.0\.0\.1:\d+$/);
    assert.equal(one.transport.isActive(2n), false);
    assert.equal(two.transport.isActive(1n), false);
    await until(() => one.unreachables.length > 0, "it was told");
    assert.deepEqual(one.unreachables, [2n]);
  });

  test("a member that answers at another one's URL is not taken for it", async () => {
    await using one = await TestMember.start(1n);
    await using two = await TestMember.start(2n);
    one.knows([3n, two.url]);
    two.knows(one);
    await until(() => one.logged("another member listens at the peer's URL").length > 0, "it was refused");
    assert.equal(
      one.logged("another member listens at the peer's URL")[0]?.reason,
      "request sent was ignored (to field mismatch: expected member 3, member 2 listens there)",
    );
    assert.equal(two.logged("ID mismatch")[0]?.target, "3");
    assert.equal(one.transport.isActive(3n), false);
  });

  test("a removed member is told so, once", async () => {
    await using one = await TestMember.start(1n);
    await using two = await TestMember.start(2n, { limits: { strangerLogMs: 0 } });
    two.removed.add(1n);
    one.knows(two);
    await until(() => two.logged("because it was removed").length > 2, "it was refused three times");
    assert.equal(one.removals, 1);
    const [line] = one.logged("because this member was removed");
    assert.equal(line?.reason, "the member has been permanently removed from the cluster");
    assert.equal(two.logged("because it was removed")[0]?.peer, "1");
  });

  test("a member that nobody knows is refused when it does not say where it listens", async () => {
    await using one = await TestMember.start(1n, { peerUrls: () => [] });
    await using two = await TestMember.start(2n);
    one.knows(two);
    await until(() => one.logged("remote peer failed to find this member").length > 0, "it was refused");
    assert.equal(
      one.logged("remote peer failed to find this member")[0]?.reason,
      "peer 2 failed to find local node 1",
    );
    assert.equal(two.logged("failed to find remote peer in cluster").length, 1);
  });

  test("a member that nobody knows is heard and answered when it says where it listens", async () => {
    await using one = await TestMember.start(1n);
    await using two = await TestMember.start(2n);
    two.transport.setPeers(new Map());
    one.knows(two);
    await until(() => one.transport.isActive(2n) && two.transport.isActive(1n), "both are connected");
    one.transport.send([heartbeat(1n, 2n, 5)]);
    two.transport.send([heartbeat(2n, 1n, 6)]);
    await until(() => one.received.length + two.received.length === 2, "both were heard");
    assert.deepEqual([one.received, two.received], [[heartbeat(2n, 1n, 6)], [heartbeat(1n, 2n, 5)]]);
    // A change of others leaves it be; its own end does not.
    two.knows([3n, "http://127.0.0.1:9"]);
    assert.equal(two.transport.isActive(1n), true);
    await one.transport.close();
    await until(() => !two.transport.counters().has(1n), "it is forgotten");
  });

  test("a member that nobody knows is refused when there are too many of them", async () => {
    await using one = await TestMember.start(1n);
    await using two = await TestMember.start(2n, { limits: { remotesMax: 0 } });
    one.knows(two);
    await until(() => one.logged("remote peer failed to find this member").length > 0, "it was refused");
    assert.equal(one.transport.isActive(2n), false);
  });

  test("an unknown member that is removed later is talked with no more", async () => {
    await using one = await TestMember.start(1n);
    await using two = await TestMember.start(2n);
    one.knows(two);
    await until(() => two.transport.isActive(1n), "it is answered");
    two.removed.add(1n);
    two.transport.setPeers(new Map());
    await until(() => one.removals === 1, "it knows");
    assert.equal(two.transport.isActive(1n), false);
  });

  test("a member with a newer format version is refused, and told what is expected", async () => {
    await using two = await TestMember.start(2n);
    const hello = reframed(encodeHello(HELLO), (payload) => payload.writeUInt16LE(9, 1 + 8));
    const answer = decodeAnswer(frameOf(await exchange(two.port, hello)));
    assert.deepEqual(answer, { refusal: "version", clusterId: CLUSTER, memberId: 2n, version: 1 });
    assert.equal(
      two.logged("rejected connection on the peer port")[0]?.reason,
      "Cannot talk with peer: format version 9, expected 1 or less",
    );
  });
});

suite("strangers on the peer port", () => {
  const LINE = "rejected connection on the peer port";

  test("an HTTP request gets an answer that a person can read", async () => {
    await using member = await TestMember.start(2n);
    const response = await exchange(member.port, Buffer.from("GET /version HTTP/1.1\r\nhost: here\r\n\r\n"));
    assert.match(response.toString(), /^HTTP\/1\.1 400 Bad Request\r\n/);
    assert.match(response.toString(), /This port is for the members of the store/);
    assert.equal(member.logged(LINE)[0]?.sent, "an HTTP request");
    assert.match(String(member.logged(LINE)[0]?.remote), /^127\.0\.0\.1:\d+$/);
  });

  test("what sends something else is closed, and the log says what it was", async () => {
    const cases: [Buffer, RegExp][] = [
      [Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), /^an HTTP\/2 client/],
      [Buffer.from("16030102000100fc0303", "hex"), /^a TLS client/],
      [Buffer.from("deadbeefdeadbeefdeadbeef", "hex"), /^bytes 0xdeadbeef/],
      [encodeHello(HELLO).fill(0xff, 40), /^bytes 0x/],
    ];
    for (const [garbage, sent] of cases) {
      await using member = await TestMember.start(2n);
      assert.equal((await exchange(member.port, garbage)).length, 0);
      assert.match(String(member.logged(LINE)[0]?.sent), sent);
    }
  });

  test("a frame that is no hello is refused", async () => {
    await using member = await TestMember.start(2n);
    const answer = decodeAnswer(frameOf(await exchange(member.port, encodeFrame(FRAME_TYPE.ping))));
    assert.equal(answer.refusal, "malformed");
    assert.match(String(member.logged(LINE)[0]?.reason), /expected frame type 1, not 4/);
  });

  test("what says nothing, or too little, is closed in time", async () => {
    await using member = await TestMember.start(2n, { limits: { helloMs: 30, strangerLogMs: 0 } });
    await exchange(member.port, Buffer.alloc(0));
    await exchange(member.port, Buffer.from("half"));
    const lines = member.logged(LINE);
    assert.deepEqual(
      lines.map(({ reason, sent }) => [reason, sent]),
      [
        ["no hello within 30 ms", "nothing"],
        ["no hello within 30 ms", "bytes 0x68616c66"],
      ],
    );
  });

  test("many of them make one line of the log", async () => {
    const clock = new ManualClock();
    await using member = await TestMember.start(2n, { clock });
    for (let round = 0; round < 20; round += 1)
      await exchange(member.port, Buffer.from("not a frame at all"));
    assert.equal(member.logged(LINE).length, 1);
    clock.advance(PEER_LIMITS.strangerLogMs);
    await exchange(member.port, Buffer.from("not a frame at all"));
    assert.deepEqual(
      member.logged(LINE).map(({ suppressed }) => suppressed),
      [0, 19],
    );
  });

  test("more of them than the limit: the oldest is closed, and a member comes through", async () => {
    await using member = await TestMember.start(2n, { limits: { strangersMax: 2, helloMs: 60_000 } });
    await using other = await TestMember.start(3n);
    const held = [connect(member.port, "127.0.0.1"), connect(member.port, "127.0.0.1")];
    await Promise.all(held.map((socket) => once(socket, "connect")));
    member.knows(other);
    const lost = Promise.race(held.map((socket) => once(socket.resume(), "close")));
    other.knows(member);
    await until(() => other.transport.isActive(2n), "the member was let in");
    await lost;
    await until(() => member.logged(LINE).length === 1, "it was logged");
    assert.equal(member.logged(LINE)[0]?.reason, "more than 2 connections have not said who they are");
    for (const socket of held) socket.destroy();
  });

  test("a port in use is Node's error, for the member to translate", async () => {
    await using member = await TestMember.start(2n);
    await using other = new TestMember(3n);
    await assert.rejects(other.transport.listen({ host: "127.0.0.1", port: member.port }), {
      code: "EADDRINUSE",
    });
  });
});

/** Sends bytes and gives back all that comes until the other side closes. */
async function exchange(port: number, bytes: Buffer): Promise<Buffer> {
  const socket = connect(port, "127.0.0.1");
  const chunks: Buffer[] = [];
  socket.on("data", (chunk) => chunks.push(chunk));
  socket.on("error", () => undefined);
  if (bytes.length > 0) socket.write(bytes);
  await once(socket, "close");
  return Buffer.concat(chunks);
}

/** A frame whose payload is changed, with the CRC that it has then. */
function reframed(frame: Buffer, change: (payload: Buffer) => void): Buffer {
  const payload = frame.subarray(FRAME_HEADER_BYTES);
  change(payload);
  frame.writeUInt32LE(crc32c(payload, payload.length), 4);
  return frame;
}
