import assert from "node:assert/strict";
import { EventEmitter } from "node:events";
import { suite, test } from "node:test";
import type { Connection } from "@platformatic/kafka";
import fc from "fast-check";
import { BrokerSocket } from "../../../../logagent/sink/kafka/broker-socket.ts";

/** A socket on which a broker's bytes arrive as the test says. */
class FakeSocket extends EventEmitter {
  isDestroyed = false;
  readonly cork = () => undefined;
  readonly write = () => undefined;
  readonly uncork = () => undefined;
  destroy(): void {
    this.isDestroyed = true;
  }
}

function newBrokerSocket() {
  const socket = new FakeSocket();
  const theirs: Buffer[] = [];
  socket.on("data", (frame: Buffer) => theirs.push(Buffer.from(frame)));
  const connection = Object.assign(new EventEmitter(), { socket, isConnected: () => true });
  return { socket, theirs, broker: new BrokerSocket(connection as unknown as Connection) };
}

function frameOf(id: number, body: Uint8Array): Buffer {
  const head = Buffer.alloc(8);
  head.writeInt32BE(4 + body.length, 0);
  head.writeInt32BE(id, 4);
  return Buffer.concat([head, body]);
}

suite("BrokerSocket", () => {
  test("request() gets its answer, and the connection its own, wherever the bytes are cut", async () => {
    const answers = fc.array(
      fc.record({ isOurs: fc.boolean(), body: fc.uint8Array({ maxLength: 40 }), id: fc.nat(1_000) }),
      { minLength: 1, maxLength: 8 },
    );
    const property = fc.asyncProperty(
      answers,
      fc.array(fc.integer({ min: 1, max: 30 }), { minLength: 1 }),
      async (expected, cuts) => {
        const { broker, socket, theirs } = newBrokerSocket();
        const ours: Promise<Buffer>[] = [];
        const frames = expected.map(({ isOurs, body, id }) => {
          if (!isOurs) return frameOf(id, body);
          const ourId = broker.takeId();
          ours.push(broker.request(ourId, []));
          return frameOf(ourId, body);
        });
        const stream = Buffer.concat(frames);
        for (let at = 0, i = 0; at < stream.length; i += 1) {
          const end = at + (cuts[i % cuts.length] as number);
          socket.emit("data", stream.subarray(at, end));
          at = end;
        }
        const bodies = expected.filter(({ isOurs }) => isOurs).map(({ body }) => Buffer.from(body));
        assert.deepEqual(await Promise.all(ours), bodies);
        assert.deepEqual(
          theirs,
          frames.filter((_, i) => expected[i]?.isOurs === false),
        );
      },
    );
    await fc.assert(property, { numRuns: 300 });
  });

  test("ends the connection at a frame of an impossible size", async () => {
    const { broker, socket } = newBrokerSocket();
    const refused = assert.rejects(broker.request(broker.takeId(), []), {
      code: "EKAFKAFRAME",
      message: "a frame of 1073741824 bytes was received",
    });
    for (const byte of [0x40, 0, 0, 0]) socket.emit("data", Buffer.from([byte]));
    await refused;
    assert.equal(socket.isDestroyed, true);
    assert.equal(broker.isUsable, false);
  });
});
