import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:http2";
import { test } from "node:test";
import { setImmediate } from "node:timers/promises";
import { Client, credentials, Metadata, type ServiceError } from "@grpc/grpc-js";
import { pino } from "pino";
import { CodedError } from "../../../base/errors.ts";
import { GRPC_CODE, StoreError } from "../../../store/proto/errors.ts";
import { GrpcAdapter } from "../../../store/server/grpc-adapter.ts";
import { CallError, type Handler } from "../../../store/server/service.ts";
import { TcpProxy } from "../../support/tcp-proxy.ts";

const REQUEST_BYTES_MAX = 4096;

async function withAdapter(
  table: Readonly<Record<string, Handler>>,
  use: (bed: {
    client: Client;
    adapter: GrpcAdapter;
    port: number;
    logs: string[];
    handled: string[];
  }) => Promise<void>,
): Promise<void> {
  const logs: string[] = [];
  const handled: string[] = [];
  const adapter = new GrpcAdapter({
    table: new Map(Object.entries(table)),
    logger: pino({ level: "info" }, { write: (line: string) => void logs.push(line) }),
    requestBytesMax: REQUEST_BYTES_MAX,
    concurrentStreamsMax: 1000,
    keepaliveIntervalMs: 0,
    keepaliveTimeoutMs: 0,
    onHandled: (path, kind, code) => handled.push(`${path} ${kind} ${code}`),
  });
  const port = await adapter.listen("127.0.0.1:0");
  const client = new Client(`127.0.0.1:${port}`, credentials.createInsecure(), {
    "grpc.max_receive_message_length": -1,
  });
  try {
    await use({ client, adapter, port, logs, handled });
  } finally {
    client.close();
    await adapter.stop();
  }
}

const MIB = 1024 * 1024;

const identity = (bytes: Buffer) => bytes;

/** `bytes` that differ everywhere. */
function patterned(bytes: number): Buffer {
  const words = new Uint32Array(Math.ceil(bytes / 4)).map((_, index) => Math.imul(index, 2654435761));
  return Buffer.from(words.buffer, 0, bytes);
}

function unary(client: Client, path: string, request: Uint8Array, options = {}): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    client.makeUnaryRequest(
      path,
      identity,
      identity,
      Buffer.from(request),
      new Metadata(),
      options,
      (error, value) => (error === null && value !== undefined ? resolve(value) : reject(error)),
    );
  });
}

async function failure(call: Promise<unknown>): Promise<{ code: number; details: string }> {
  try {
    await call;
  } catch (error) {
    const { code, details } = error as ServiceError;
    return { code, details };
  }
  return assert.fail("the call succeeded");
}

test("GrpcAdapter carries a unary handler's bytes, metadata and peer", async () => {
  const call: Handler = {
    kind: "unary",
    call: async (request, { metadata, peer }) => {
      assert.equal(metadata.get("token"), "t");
      assert.match(peer, /^127\.0\.0\.1:\d+$/);
      return Buffer.concat([Buffer.from("<"), request, Buffer.from(">")]);
    },
  };
  await withAdapter({ "/s.S/Echo": call }, async ({ client, handled }) => {
    const metadata = new Metadata();
    metadata.add("Token", "t");
    const response = await new Promise<Buffer | undefined>((resolve, reject) => {
      client.makeUnaryRequest("/s.S/Echo", identity, identity, Buffer.from("x"), metadata, (error, value) =>
        error === null ? resolve(value) : reject(error),
      );
    });
    assert.equal(String(response), "<x>");
    assert.deepEqual(handled, ["/s.S/Echo unary 0"]);
  });
});

test("GrpcAdapter gives errors their status, and hides the inside of a bug, which it logs", async () => {
  const throwing = (error: Error): Handler => ({ kind: "unary", call: () => Promise.reject(error) });
  const table = {
    "/s.S/Store": throwing(new StoreError("EmptyKey")),
    "/s.S/Call": throwing(new CallError(GRPC_CODE.unimplemented, "not here")),
    "/s.S/Bug": throwing(new CodedError("X", "the secret inside")),
  };
  await withAdapter(table, async ({ client, logs }) => {
    assert.deepEqual(await failure(unary(client, "/s.S/Store", Buffer.alloc(0))), {
      code: GRPC_CODE.invalidArgument,
      details: "etcdserver: key is not provided",
    });
    assert.deepEqual(await failure(unary(client, "/s.S/Call", Buffer.alloc(0))), {
      code: GRPC_CODE.unimplemented,
      details: "not here",
    });
    assert.deepEqual(logs, []);
    assert.deepEqual(await failure(unary(client, "/s.S/Bug", Buffer.alloc(0))), {
      code: GRPC_CODE.internal,
      details: "logstore: internal error in /s.S/Bug",
    });
    assert.match(logs[0] ?? "", /the secret inside/);
    const { code } = await failure(unary(client, "/s.S/Nothing", Buffer.alloc(0)));
    assert.equal(code, GRPC_CODE.unimplemented);
  });
});

test("GrpcAdapter refuses a message above the limit and its overhead", async () => {
  const echo: Handler = { kind: "unary", call: async (request) => request };
  await withAdapter({ "/s.S/Echo": echo }, async ({ client }) => {
    const large = Buffer.alloc(REQUEST_BYTES_MAX + 512 * 1024);
    assert.equal((await unary(client, "/s.S/Echo", large)).length, large.length);
    const { code } = await failure(unary(client, "/s.S/Echo", Buffer.alloc(large.length + 1)));
    assert.equal(code, GRPC_CODE.resourceExhausted);
  });
});

test("GrpcAdapter aborts the signal when the client cancels and when its deadline passes", async () => {
  const reasons: Promise<unknown>[] = [];
  const started = Promise.withResolvers<void>();
  const wait: Handler = {
    kind: "unary",
    call: async (_, { signal }) => {
      const aborted = once(signal, "abort");
      reasons.push(aborted);
      started.resolve();
      await aborted;
      throw signal.reason;
    },
  };
  await withAdapter({ "/s.S/Wait": wait }, async ({ client }) => {
    const cancelled = new Promise((_, reject) => {
      const call = client.makeUnaryRequest("/s.S/Wait", identity, identity, Buffer.alloc(0), (error) =>
        reject(error),
      );
      started.promise.then(() => call.cancel(), reject);
    });
    assert.equal((await failure(cancelled)).code, GRPC_CODE.canceled);
    const late = unary(client, "/s.S/Wait", Buffer.alloc(0), { deadline: Date.now() + 50 });
    assert.equal((await failure(late)).code, GRPC_CODE.deadlineExceeded);
    assert.equal(reasons.length, 2);
    await Promise.all(reasons);
  });
});

test("GrpcAdapter carries a stream both ways and ends it when the handler returns", async () => {
  const double: Handler = {
    kind: "stream",
    call: async (requests, respond) => {
      for await (const request of requests) {
        await respond(request);
        await respond(request);
      }
      await respond(Buffer.from("end"));
    },
  };
  await withAdapter({ "/s.S/Double": double }, async ({ client }) => {
    const call = client.makeBidiStreamRequest("/s.S/Double", identity, identity);
    const received: string[] = [];
    call.on("data", (message: Buffer) => received.push(String(message)));
    for (let number = 0; number < 50; number += 1) call.write(Buffer.from(String(number)));
    call.end();
    const [status] = await once(call, "status");
    assert.equal(status.code, GRPC_CODE.ok);
    const expected = Array.from({ length: 50 }, (_, number) => [String(number), String(number)]).flat();
    assert.deepEqual(received, [...expected, "end"]);
  });
});

test("GrpcAdapter ends a stream with the status of what its handler threw", async () => {
  const refuse: Handler = {
    kind: "stream",
    call: async (requests) => {
      for await (const _ of requests) throw new StoreError("NoLeader");
    },
  };
  await withAdapter({ "/s.S/Refuse": refuse }, async ({ client }) => {
    const call = client.makeBidiStreamRequest("/s.S/Refuse", identity, identity);
    call.on("data", () => undefined);
    call.write(Buffer.from("x"));
    const [error] = await once(call, "error");
    assert.equal(error.code, GRPC_CODE.unavailable);
    assert.equal(error.details, "etcdserver: no leader");
  });
});

test("GrpcAdapter holds a handler back while its client does not read", async () => {
  const message = Buffer.alloc(64 * 1024);
  let sent = 0;
  const ended = Promise.withResolvers<unknown>();
  const flood: Handler = {
    kind: "stream",
    call: async (_, respond) => {
      try {
        for (;;) {
          await respond(message);
          sent += 1;
        }
      } catch (error) {
        ended.resolve(error);
        throw error;
      }
    },
  };
  await withAdapter({ "/s.S/Flood": flood }, async ({ client }) => {
    const call = client.makeBidiStreamRequest("/s.S/Flood", identity, identity);
    call.on("error", () => undefined);
    call.write(Buffer.from("go"));
    // It takes one message and no more: before its first read, grpc-js's client takes all there is.
    call.once("data", () => call.pause());
    let before = -1;
    while (sent !== before || sent === 0) {
      before = sent;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    assert.ok(sent < 200, `${sent} messages of 64 KiB were taken for a client that reads none`);
    call.cancel();
    await ended.promise;
  });
});

test("GrpcAdapter carries answers of any size as they are", async () => {
  const sized = (request: Uint8Array) => patterned(Buffer.from(request).readUInt32BE());
  const table: Record<string, Handler> = {
    "/s.S/One": { kind: "unary", call: async (request) => sized(request) },
    "/s.S/Many": {
      kind: "stream",
      call: async (requests, respond) => {
        for await (const request of requests) await respond(sized(request));
      },
    },
  };
  const sizes = [0, MIB - 1, MIB, MIB + 1, 2 * MIB, 5 * MIB + 3, 7];
  const requests = sizes.map((size) => {
    const request = Buffer.alloc(4);
    request.writeUInt32BE(size);
    return request;
  });
  await withAdapter(table, async ({ client }) => {
    const answers = await Promise.all(requests.map((request) => unary(client, "/s.S/One", request)));
    for (const [i, size] of sizes.entries()) assert.ok(answers[i]?.equals(patterned(size)), `${size} bytes`);

    const call = client.makeBidiStreamRequest("/s.S/Many", identity, identity);
    for (const request of requests) call.write(request);
    call.end();
    const streamed: Buffer[] = await call.toArray();
    assert.deepEqual(
      streamed.map((answer) => answer.length),
      sizes,
    );
    assert.ok(streamed.every((answer) => answer.equals(patterned(answer.length))));
  });
});

test("GrpcAdapter never lays a large answer out a second time", async ({ mock }) => {
  const answer = Buffer.alloc(32 * MIB);
  const table: Record<string, Handler> = { "/s.S/Large": { kind: "unary", call: async () => answer } };
  await withAdapter(table, async ({ port }) => {
    const allocated = [
      mock.method(Buffer, "allocUnsafe"),
      mock.method(Buffer, "allocUnsafeSlow"),
      mock.method(Buffer, "alloc"),
    ];
    const session = connect(`http://127.0.0.1:${port}`);
    const stream = session.request({
      ":method": "POST",
      ":path": "/s.S/Large",
      "content-type": "application/grpc",
      te: "trailers",
    });
    stream.end(Buffer.alloc(5));
    let received = 0;
    for await (const chunk of stream) received += chunk.length;
    session.close();
    assert.equal(received, 5 + answer.length);
    const largest = allocated.flatMap(({ mock: { calls } }) => calls.map(({ arguments: [size] }) => size));
    assert.ok(Math.max(...largest) <= MIB, `allocated ${Math.max(...largest)} bytes at once`);
  });
});

test("GrpcAdapter lets go of a large answer whose client has gone", async () => {
  const table: Record<string, Handler> = {
    "/s.S/Large": { kind: "unary", call: async () => Buffer.alloc(64 * MIB) },
    "/s.S/Small": { kind: "unary", call: async () => Buffer.from("small") },
  };
  await withAdapter(table, async ({ client, port, logs }) => {
    const session = connect(`http://127.0.0.1:${port}`);
    const stream = session.request({
      ":method": "POST",
      ":path": "/s.S/Large",
      "content-type": "application/grpc",
      te: "trailers",
    });
    stream.end(Buffer.alloc(5));
    await once(stream, "data");
    session.destroy();
    assert.equal(String(await unary(client, "/s.S/Small", Buffer.alloc(0))), "small");
    assert.deepEqual(logs, []);
  });
});

test("GrpcAdapter.stop() ends open streams as unavailable, and is idempotent", async () => {
  const listen: Handler = {
    kind: "stream",
    call: async (requests, respond) => {
      await respond(Buffer.from("hello"));
      for await (const _ of requests);
    },
  };
  await withAdapter({ "/s.S/Listen": listen }, async ({ client, adapter }) => {
    const call = client.makeBidiStreamRequest("/s.S/Listen", identity, identity);
    const failed = once(call, "error");
    await once(call, "data");
    await Promise.all([adapter.stop(), adapter.stop()]);
    const [error] = await failed;
    assert.equal(error.code, GRPC_CODE.unavailable);
    assert.equal(error.details, "etcdserver: server stopped");
  });
});

test("GrpcAdapter.stop() ends though a client takes nothing any more, as one that stands still: it never did", async () => {
  const wire = Promise.withResolvers<TcpProxy>();
  const called = Promise.withResolvers<void>();
  const call = async () => {
    (await wire.promise).hang();
    called.resolve();
    return Buffer.alloc(64 * MIB);
  };
  await withAdapter({ "/t/Big": { kind: "unary", call } }, async ({ adapter, port }) => {
    await using proxy = await TcpProxy.start(`http://127.0.0.1:${port}`);
    wire.resolve(proxy);
    // With no window in its way, an answer is the socket's to hold.
    const session = connect(proxy.endpoint, { settings: { initialWindowSize: 2 ** 31 - 1 } });
    session.on("error", () => undefined);
    await once(session, "connect");
    session.setLocalWindowSize(2 ** 31 - 1);
    const stream = session.request({
      ":method": "POST",
      ":path": "/t/Big",
      "content-type": "application/grpc",
    });
    stream.on("error", () => undefined);
    stream.end(Buffer.alloc(5));
    await called.promise;
    await setImmediate();
    await adapter.stop();
    session.destroy();
  });
});

test("GrpcAdapter.listen() rejects when the port is taken", async () => {
  await withAdapter({}, async ({ client }) => {
    const address = client.getChannel().getTarget().replace(/^dns:/, "");
    await withAdapter({}, async ({ adapter }) => {
      await assert.rejects(adapter.listen(address), { code: "ELISTEN", message: /EADDRINUSE/ });
    });
  });
});
