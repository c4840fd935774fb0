import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import * as wire from "@bufbuild/protobuf/wire";
import fc from "fast-check";
import { BinaryReader } from "../../store/proto/binary-reader.ts";
import { BinaryWriter } from "../../store/proto/binary-writer.ts";
import { Permission_Type } from "../../store/proto/gen/auth.ts";
import { HealthCheckResponse_ServingStatus, HealthListResponse } from "../../store/proto/gen/health.ts";
import { InternalRaftRequest } from "../../store/proto/gen/internal.ts";
import { Event_EventType } from "../../store/proto/gen/kv.ts";
import * as rpc from "../../store/proto/gen/rpc.ts";

const root = join(import.meta.dirname, "..", "..");
const protoFolder = join(root, "store", "proto");

const header = {
  clusterId: 0xcdf818194e3a8c32n,
  memberId: 0x8e9e05c52164694dn,
  revision: 2 ** 40,
  raftTerm: 7,
};
const kv = {
  key: Buffer.from("k"),
  createRevision: 2,
  modRevision: 300,
  version: 5,
  value: Buffer.from([0, 255]),
  lease: 0x694d8f5c2b1a0001n,
};

interface Codec {
  decode(bytes: Uint8Array): unknown;
  encode(message: never): BinaryWriter;
}

interface Golden {
  readonly name: string;
  readonly codec: Codec;
  readonly message: unknown;
  /** Written by Go's marshaller from go.etcd.io/etcd/api/v3 v3.7.3. */
  readonly hex: string;
  /** What we write, where the order of fields differs: Go puts the members of a oneof last. Readers take any order. */
  readonly ownHex?: string;
}

const goldens: readonly Golden[] = [
  {
    name: "ResponseHeader",
    codec: rpc.ResponseHeader,
    message: rpc.ResponseHeader.create(header),
    hex: "08b298eaf1948386fccd0110cdd2918bd2b881cf8e01188080808080202007",
  },
  {
    name: "RangeRequest",
    codec: rpc.RangeRequest,
    message: rpc.RangeRequest.create({
      key: Buffer.from("a"),
      rangeEnd: Buffer.from([0]),
      limit: 1000,
      revision: 9,
      sortOrder: rpc.RangeRequest_SortOrder.DESCEND,
      sortTarget: rpc.RangeRequest_SortTarget.VALUE,
      serializable: true,
      keysOnly: true,
      countOnly: true,
      minModRevision: 1,
      maxModRevision: 2,
      minCreateRevision: 3,
      maxCreateRevision: 4,
    }),
    hex: "0a016112010018e8072009280230043801400148015001580260036804",
  },
  {
    name: "PutRequest",
    codec: rpc.PutRequest,
    message: rpc.PutRequest.create({
      key: Buffer.from("key"),
      value: Buffer.from("value"),
      lease: -2n,
      prevKv: true,
      ignoreValue: true,
      ignoreLease: true,
    }),
    hex: "0a036b6579120576616c756518feffffffffffffffff01200128013001",
  },
  {
    name: "RangeResponse",
    codec: rpc.RangeResponse,
    message: rpc.RangeResponse.create({ header, kvs: [kv, {}], more: true, count: 2 }),
    hex: "0a1f08b298eaf1948386fccd0110cdd2918bd2b881cf8e0118808080808020200712180a016b100218ac0220052a0200ff308180e8d8c2ebe3a669120018012002",
  },
  {
    name: "TxnRequest",
    codec: rpc.TxnRequest,
    message: rpc.TxnRequest.create({
      compare: [
        {
          result: rpc.Compare_CompareResult.NOT_EQUAL,
          target: rpc.Compare_CompareTarget.MOD,
          key: Buffer.from("a"),
          targetUnion: { $case: "modRevision", value: 0 },
        },
        {
          result: rpc.Compare_CompareResult.GREATER,
          target: rpc.Compare_CompareTarget.LEASE,
          key: Buffer.from("b"),
          targetUnion: { $case: "lease", value: 1n << 62n },
          rangeEnd: Buffer.from("c"),
        },
        {
          target: rpc.Compare_CompareTarget.VALUE,
          targetUnion: { $case: "value", value: Buffer.from("v") },
        },
      ],
      success: [
        { request: { $case: "requestPut", value: rpc.PutRequest.create({ key: Buffer.from("a") }) } },
        { request: { $case: "requestTxn", value: rpc.TxnRequest.create() } },
      ],
      failure: [
        {
          request: {
            $case: "requestDeleteRange",
            value: rpc.DeleteRangeRequest.create({ key: Buffer.from("a"), prevKv: true }),
          },
        },
      ],
    }),
    hex: "0a09080310021a016130000a15080110041a016282040163408080808080808080400a0510033a0176120512030a0161120222001a071a050a01611801",
    ownHex:
      "0a09080310021a016130000a15080110041a016240808080808080808040820401630a0510033a0176120512030a0161120222001a071a050a01611801",
  },
  {
    name: "WatchRequest",
    codec: rpc.WatchRequest,
    message: rpc.WatchRequest.create({
      requestUnion: {
        $case: "createRequest",
        value: rpc.WatchCreateRequest.create({
          key: Buffer.from("w"),
          startRevision: 5,
          progressNotify: true,
          filters: [rpc.WatchCreateRequest_FilterType.NODELETE, rpc.WatchCreateRequest_FilterType.NOPUT],
          prevKv: true,
          watchId: 3,
          fragment: true,
        }),
      },
    }),
    hex: "0a110a0177180520012a020100300138034001",
  },
  {
    name: "WatchResponse",
    codec: rpc.WatchResponse,
    message: rpc.WatchResponse.create({
      header,
      watchId: -1,
      created: true,
      canceled: true,
      compactRevision: 128,
      cancelReason: "größer",
      fragment: true,
      events: [{ type: Event_EventType.DELETE, kv, prevKv: { key: Buffer.from("k") } }],
    }),
    hex: "0a1f08b298eaf1948386fccd0110cdd2918bd2b881cf8e0118808080808020200710ffffffffffffffffff011801200128800132086772c3b6c39f657238015a21080112180a016b100218ac0220052a0200ff308180e8d8c2ebe3a6691a030a016b",
  },
  {
    name: "LeaseTimeToLiveResponse",
    codec: rpc.LeaseTimeToLiveResponse,
    message: rpc.LeaseTimeToLiveResponse.create({
      header: {},
      ID: 2n ** 63n - 1n,
      TTL: -1,
      grantedTTL: 60,
      keys: [Buffer.from("a"), Buffer.alloc(0)],
    }),
    hex: "0a0010ffffffffffffffff7f18ffffffffffffffffff01203c2a01612a00",
  },
  {
    name: "StatusResponse",
    codec: rpc.StatusResponse,
    message: rpc.StatusResponse.create({
      header,
      version: "3.7.3",
      dbSize: 2 ** 33,
      leader: 2n ** 64n - 1n,
      raftIndex: Number.MAX_SAFE_INTEGER,
      raftTerm: 4,
      raftAppliedIndex: 5,
      errors: ["x", ""],
      dbSizeInUse: 6,
      isLearner: true,
      storageVersion: "3.7.0",
      dbSizeQuota: 7,
      downgradeInfo: { targetVersion: "3.6" },
    }),
    hex: "0a1f08b298eaf1948386fccd0110cdd2918bd2b881cf8e011880808080802020071205332e372e3318808080802020ffffffffffffffffff0128ffffffffffffff0f300438054201784200480650015a05332e372e3060076a051203332e36",
  },
  {
    name: "AlarmRequest",
    codec: rpc.AlarmRequest,
    message: rpc.AlarmRequest.create({
      action: rpc.AlarmRequest_AlarmAction.DEACTIVATE,
      memberID: 9n,
      alarm: rpc.AlarmType.CORRUPT,
    }),
    hex: "080210091802",
  },
  {
    name: "HashKVResponse",
    codec: rpc.HashKVResponse,
    message: rpc.HashKVResponse.create({ hash: 0xffffffff, compactRevision: 1, hashRevision: 2 }),
    hex: "10ffffffff0f18012002",
  },
  {
    name: "AuthRoleGrantPermissionRequest",
    codec: rpc.AuthRoleGrantPermissionRequest,
    message: rpc.AuthRoleGrantPermissionRequest.create({
      name: "r",
      perm: { permType: Permission_Type.READWRITE, key: Buffer.from("k"), rangeEnd: Buffer.from("l") },
    }),
    hex: "0a01721208080212016b1a016c",
  },
  {
    name: "InternalRaftRequest",
    codec: InternalRaftRequest,
    message: InternalRaftRequest.create({
      header: { ID: 2n ** 64n - 1n, username: "u", authRevision: 2 },
      request: { $case: "leaseRevoke", value: { ID: 1n << 60n } },
    }),
    hex: "4a0a08808080808080808010a2061008ffffffffffffffffff011201751802",
  },
];

describe("bytes that Go wrote", () => {
  for (const { name, codec, message, hex, ownHex = hex } of goldens) {
    test(`${name}.decode() reads them`, () => {
      assert.deepEqual(codec.decode(Buffer.from(hex, "hex")), message);
    });
    test(`${name}.encode() writes the same`, () => {
      assert.equal(
        codec
          .encode(message as never)
          .finish()
          .toString("hex"),
        ownHex,
      );
    });
    test(`${name}.decode() of each prefix gives a message or PROTO_MALFORMED`, () => {
      const whole = Buffer.from(hex, "hex");
      let refused = 0;
      for (let length = 0; length < whole.length; length++) {
        try {
          codec.decode(whole.subarray(0, length));
        } catch (error) {
          assert.equal((error as { code?: string }).code, "PROTO_MALFORMED");
          refused++;
        }
      }
      assert.ok(refused > 0);
    });
  }
});

describe("store/proto against the published interface", () => {
  const published = new Set(
    readFileSync(join(import.meta.dirname, "etcd-interface.txt"), "utf8")
      .split("\n")
      .filter((line) => line !== "" && !line.startsWith("#")),
  );
  /** What only our own log and backend hold is nobody else's to know. */
  const ours = new Set(factsOfOurFiles().filter((fact) => !fact.startsWith("logstore.")));

  test("every fact of ours is published", () => {
    const asPublished = [...ours].map((fact) =>
      fact.startsWith("etcdserverpb.InternalRaftRequest.") ? fact.replace(" in request", "") : fact,
    );
    assert.deepEqual(
      asPublished.filter((fact) => !published.has(fact)),
      [],
    );
  });

  test("every published fact is ours, except log entries that we do not write", () => {
    const notOurs = /^etcdserverpb\.Internal(Raft|Authenticate)Request\./;
    assert.deepEqual(
      [...published].filter((fact) => !notOurs.test(fact) && !ours.has(fact)),
      [],
    );
  });

  test("store/proto/gen is what generate.ts writes", () => {
    const folder = mkdtempSync(join(tmpdir(), "proto-"));
    try {
      execFileSync(process.execPath, [join(protoFolder, "generate.ts"), folder]);
      const names = readdirSync(join(folder, "gen"));
      assert.deepEqual(names.toSorted(), readdirSync(join(protoFolder, "gen")).toSorted());
      for (const name of names) {
        const committed = readFileSync(join(protoFolder, "gen", name), "utf8");
        assert.equal(
          readFileSync(join(folder, "gen", name), "utf8"),
          committed,
          `run: npm run proto (${name})`,
        );
      }
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

describe("BinaryReader", () => {
  test("safeInt64() keeps -1, and gives the nearest safe integer for what is beyond", () => {
    const decodeLimit = (limit: bigint) => {
      const bytes = new wire.BinaryWriter().uint32(24).int64(limit).finish();
      return rpc.RangeRequest.decode(bytes).limit;
    };
    assert.equal(decodeLimit(-1n), -1);
    assert.equal(decodeLimit(-(2n ** 40n)), -(2 ** 40));
    assert.equal(decodeLimit(2n ** 53n - 1n), Number.MAX_SAFE_INTEGER);
    assert.equal(decodeLimit(2n ** 63n - 1n), Number.MAX_SAFE_INTEGER);
    assert.equal(decodeLimit(-(2n ** 63n)), Number.MIN_SAFE_INTEGER);
  });

  test("int64() keeps lease ids above 2^53", () => {
    for (const ID of [2n ** 53n + 1n, 7587862094327422978n, -(2n ** 63n)]) {
      const bytes = rpc.LeaseRevokeRequest.encode({ ID }).finish();
      assert.deepEqual(rpc.LeaseRevokeRequest.decode(bytes), { ID });
    }
  });

  test("skip() passes over unknown fields of every wire type", () => {
    const unknown = new wire.BinaryWriter()
      .tag(90, 0)
      .uint64(2n ** 64n - 1n)
      .tag(91, 1)
      .fixed64(1n)
      .tag(92, 2)
      .string("text")
      .tag(93, 5)
      .fixed32(1)
      .tag(94, 3)
      .tag(1, 2)
      .string("in a group")
      .tag(94, 4)
      .finish();
    const known = rpc.PutRequest.encode(rpc.PutRequest.create({ key: Buffer.from("k"), lease: 5n })).finish();
    assert.deepEqual(
      rpc.PutRequest.decode(Buffer.concat([unknown, known, unknown])),
      rpc.PutRequest.create({ key: Buffer.from("k"), lease: 5n }),
    );
  });

  test("a known field number with another wire type is skipped", () => {
    const bytes = new wire.BinaryWriter().tag(3, 2).string("x").finish();
    assert.deepEqual(rpc.PutRequest.decode(bytes), rpc.PutRequest.create());
  });

  test("refuses what is not a message, and says where", () => {
    const refuses = (hex: string, message: RegExp) =>
      assert.throws(() => rpc.WatchResponse.decode(Buffer.from(hex, "hex")), {
        code: "PROTO_MALFORMED",
        message,
      });
    refuses("00", /field number 0 at byte 1/);
    refuses("0c", /wire type 4 at byte 1/);
    refuses("0f", /wire type 7 at byte 1/);
    refuses("10ffffffffffffffffffff01", /varint at byte 1 is longer than 10 bytes/);
    refuses("1080", /varint at byte 1 is cut off/);
    refuses("3205616263", /5 bytes expected at byte 2, 3 left/);
    refuses("3202c328", /string at byte 2 is not UTF-8/);
    refuses("0a0118ff01", /a field ends at byte 5, its message at 3/);
    refuses("0a7f", /cut off|ends at byte/);
    refuses("f302fc02", /group 46 is closed as 47/);
  });

  test("decode() refuses transactions nested more than 100 levels", () => {
    let txn = rpc.TxnRequest.create();
    for (let depth = 0; depth < 60; depth++) {
      txn = { compare: [], success: [{ request: { $case: "requestTxn", value: txn } }], failure: [] };
    }
    const bytes = rpc.TxnRequest.encode(txn).finish();
    assert.throws(() => rpc.TxnRequest.decode(bytes), /recursion limit/);
  });

  test("bytes() gives a view of the input, a Buffer whatever the input is", () => {
    const input = new Uint8Array(
      rpc.PutRequest.encode(rpc.PutRequest.create({ key: Buffer.from("abc") })).finish(),
    );
    const { key } = rpc.PutRequest.decode(input);
    assert.ok(Buffer.isBuffer(key));
    assert.equal(key.buffer, input.buffer);
    assert.equal(key.toString(), "abc");
  });
});

describe("BinaryWriter", () => {
  test("refuses integers that their field cannot hold", () => {
    const refuses = (write: () => unknown, message: RegExp) =>
      assert.throws(write, { code: "PROTO_RANGE", message });
    refuses(() => new BinaryWriter().int64(2 ** 53), /9007199254740992 does not fit int64/);
    refuses(() => new BinaryWriter().int64(0.5), /0\.5 does not fit int64/);
    refuses(() => new BinaryWriter().int64(2n ** 63n), /does not fit int64/);
    refuses(() => new BinaryWriter().uint64(-1), /-1 does not fit uint64/);
    refuses(() => new BinaryWriter().uint64(-1n), /-1 does not fit uint64/);
    refuses(() => new BinaryWriter().uint32(2 ** 32), /does not fit uint32/);
    refuses(() => new BinaryWriter().int32(2 ** 31), /does not fit int32/);
  });

  test("two writers at once do not share memory", () => {
    const first = new BinaryWriter().string("first");
    const second = new BinaryWriter().string("second");
    const firstBytes = first.finish();
    assert.equal(second.finish().toString(), "\x06second");
    assert.equal(new BinaryWriter().string("third").finish().toString(), "\x05third");
    assert.equal(firstBytes.toString(), "\x05first");
  });

  test("join() puts lengths of one to four bytes", () => {
    for (const length of [0, 127, 128, 16_383, 16_384, 2_100_000]) {
      const value = Buffer.alloc(length, "v");
      const bytes = new BinaryWriter().fork().fork().bytes(value).join().join().finish();
      const expected = new wire.BinaryWriter().fork().fork().bytes(value).join().join().finish();
      assert.equal(Buffer.compare(bytes, expected), 0, `${length} bytes`);
    }
  });
});

test("reader and writer agree with @bufbuild/protobuf on any value", () => {
  const value = fc.record({
    i32: fc.integer(),
    u32: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
    i64: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
    u64: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
    safe: fc.maxSafeInteger(),
    safeUnsigned: fc.maxSafeNat(),
    bool: fc.boolean(),
    text: fc.string({ unit: "grapheme", maxLength: 300 }),
    bytes: fc.uint8Array({ maxLength: 300 }),
  });
  fc.assert(
    fc.property(value, (v) => {
      const ours = new BinaryWriter().int32(v.i32).uint32(v.u32).int64(v.i64).uint64(v.u64).int64(v.safe);
      const bytes = ours.uint64(v.safeUnsigned).bool(v.bool).string(v.text).bytes(v.bytes).finish();
      const theirs = new wire.BinaryWriter()
        .int32(v.i32)
        .uint32(v.u32)
        .int64(v.i64)
        .uint64(v.u64)
        .int64(v.safe);
      const expected = theirs.uint64(v.safeUnsigned).bool(v.bool).string(v.text).bytes(v.bytes).finish();
      assert.equal(bytes.toString("hex"), Buffer.from(expected).toString("hex"));
      const reader = new BinaryReader(bytes);
      assert.equal(reader.int32(), v.i32);
      assert.equal(reader.uint32(), v.u32);
      assert.equal(reader.int64(), v.i64);
      assert.equal(reader.uint64(), v.u64);
      assert.equal(reader.safeInt64(), v.safe);
      assert.equal(reader.safeUint64(), v.safeUnsigned);
      assert.equal(reader.bool(), v.bool);
      assert.equal(reader.string(), v.text);
      assert.deepEqual(new Uint8Array(reader.bytes()), v.bytes);
      reader.assertEnd(bytes.length);
    }),
  );
});

test("HealthListResponse round trip keeps a map", () => {
  const message = HealthListResponse.create({
    statuses: { "": { status: HealthCheckResponse_ServingStatus.SERVING }, kv: { status: 2 } },
  });
  assert.deepEqual(HealthListResponse.decode(HealthListResponse.encode(message).finish()), message);
});

/** The descriptors of our .proto files, as lines in the shape of etcd-interface.txt. Without the health service. */
function factsOfOurFiles(): string[] {
  const buf = join(root, "node_modules", ".bin", "buf");
  const image = JSON.parse(
    execFileSync(buf, ["build", "-o", "-#format=json"], { cwd: protoFolder, encoding: "utf8" }),
  );
  const files = (image as { file: FileDescriptor[] }).file;
  return files
    .filter((file) => file.package !== "grpc.health.v1")
    .flatMap((file) => [
      ...(file.messageType ?? []).flatMap((message) => messageFacts(message, file.package)),
      ...(file.enumType ?? []).flatMap((type) => enumFacts(type, file.package)),
      ...(file.service ?? []).flatMap((service) => serviceFacts(service, file.package)),
    ]);
}

interface EnumDescriptor {
  name: string;
  value: { name: string; number?: number }[];
}

interface MessageDescriptor {
  name: string;
  field?: {
    name: string;
    number: number;
    label: string;
    type: string;
    typeName?: string;
    oneofIndex?: number;
  }[];
  oneofDecl?: { name: string }[];
  nestedType?: MessageDescriptor[];
  enumType?: EnumDescriptor[];
}

interface ServiceDescriptor {
  name: string;
  method: {
    name: string;
    inputType: string;
    outputType: string;
    clientStreaming?: boolean;
    serverStreaming?: boolean;
  }[];
}

interface FileDescriptor {
  package: string;
  messageType?: MessageDescriptor[];
  enumType?: EnumDescriptor[];
  service?: ServiceDescriptor[];
}

function messageFacts(message: MessageDescriptor, scope: string): string[] {
  const name = `${scope}.${message.name}`;
  const fields = (message.field ?? []).map((field) => {
    const type = field.typeName?.slice(1) ?? field.type.replace("TYPE_", "").toLowerCase();
    const repeated = field.label === "LABEL_REPEATED" ? "repeated " : "";
    const oneof = field.oneofIndex === undefined ? "" : ` in ${message.oneofDecl?.[field.oneofIndex]?.name}`;
    return `${name}.${field.name} = ${field.number} ${repeated}${type}${oneof}`;
  });
  const nested = (message.nestedType ?? []).flatMap((inner) => messageFacts(inner, name));
  return [...fields, ...nested, ...(message.enumType ?? []).flatMap((type) => enumFacts(type, name))];
}

function enumFacts(type: EnumDescriptor, scope: string): string[] {
  return type.value.map((value) => `${scope}.${type.name}.${value.name} = ${value.number ?? 0}`);
}

function serviceFacts(service: ServiceDescriptor, scope: string): string[] {
  return service.method.map((method) => {
    const request = `${method.clientStreaming ? "stream " : ""}${method.inputType.slice(1)}`;
    const response = `${method.serverStreaming ? "stream " : ""}${method.outputType.slice(1)}`;
    return `${scope}.${service.name}.${method.name}(${request}) ${response}`;
  });
}
