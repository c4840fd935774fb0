// What it costs to decode and encode the two messages that matter most, with each protobuf generator we considered.
// The table in docs/adr/0001-protobuf-generator.md comes from here. Run: node bench/proto.ts
import { execFileSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { PutRequest, WatchResponse } from "../store/proto/gen/rpc.ts";

const MEASURE_MS = 200;
const ROUNDS = 7;

const root = join(import.meta.dirname, "..");
const cache = join(root, ".cache", "bench-proto");

interface Codec {
  readonly name: string;
  decodePut(bytes: Uint8Array): unknown;
  decodeWatch(bytes: Uint8Array): unknown;
  /** Takes what decodePut gave. */
  encodePut(message: unknown): Uint8Array;
  encodeWatch(message: unknown): Uint8Array;
}

generateCandidates();
const codecs = [committed(), await plainTsProto(), await protobufEs()];
const put = PutRequest.encode(examplePut()).finish();
const watch = WatchResponse.encode(exampleWatch()).finish();
console.log(
  `PutRequest ${put.length} bytes; WatchResponse, 100 events, ${watch.length} bytes; Node ${process.version}`,
);
report("PutRequest decode", (codec) => () => codec.decodePut(put));
report("PutRequest encode", (codec) => encoder(codec.encodePut, codec.decodePut(put), put));
report("WatchResponse decode", (codec) => () => codec.decodeWatch(watch));
report("WatchResponse encode", (codec) => encoder(codec.encodeWatch, codec.decodeWatch(watch), watch));

function report(title: string, operation: (codec: Codec) => () => unknown): void {
  const operations = codecs.map(operation);
  const samples = codecs.map((): number[] => []);
  for (let round = 0; round <= ROUNDS; round++) {
    operations.forEach((run, index) => {
      const ns = nanosecondsPerRun(run);
      if (round > 0) samples[index]?.push(ns); // round 0 warms up
    });
  }
  const medians = samples.map(median);
  console.log(title);
  codecs.forEach((codec, index) => {
    const ns = medians[index] ?? Number.NaN;
    const ratio = ns / (medians[0] ?? Number.NaN);
    console.log(`  ${codec.name.padEnd(20)} ${ns.toFixed(0).padStart(8)} ns/op  ×${ratio.toFixed(2)}`);
  });
}

/** Refuses to measure an encoder whose bytes differ from the others'. */
function encoder<M>(encode: (message: M) => Uint8Array, message: M, expected: Uint8Array): () => unknown {
  if (Buffer.compare(encode(message), expected) !== 0)
    throw new Error("Cannot compare encoders: bytes differ");
  return () => encode(message);
}

function nanosecondsPerRun(run: () => unknown): number {
  let runs = 0;
  let kept: unknown;
  const start = process.hrtime.bigint();
  const deadline = start + BigInt(MEASURE_MS) * 1_000_000n;
  let now = start;
  while (now < deadline) {
    for (let i = 0; i < 64; i++) kept = run();
    runs += 64;
    now = process.hrtime.bigint();
  }
  if (kept === undefined) throw new Error("Cannot measure: the operation gave nothing");
  return Number(now - start) / runs;
}

function median(values: number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] ?? Number.NaN;
}

function examplePut(): PutRequest {
  return PutRequest.create({
    key: Buffer.alloc(16, "k"),
    value: Buffer.alloc(256, "v"),
    lease: 0x694d8f5c2b1a0001n,
  });
}

function exampleWatch(): WatchResponse {
  const events = Array.from({ length: 100 }, (_, i) => ({
    kv: {
      key: Buffer.alloc(16, "k"),
      value: Buffer.alloc(256, "v"),
      createRevision: 1_000_000 + i,
      modRevision: 2_000_000 + i,
      version: 1 + i,
      lease: 0x694d8f5c2b1a0001n,
    },
  }));
  const header = {
    clusterId: 0xcdf818194e3a8c32n,
    memberId: 0x8e9e05c52164694dn,
    revision: 2_000_100,
    raftTerm: 3,
  };
  return WatchResponse.create({ header, watchId: 7, events });
}

interface GeneratedMessage {
  decode(bytes: Uint8Array): unknown;
  encode(message: unknown): { finish(): Uint8Array };
}

interface GeneratedModule {
  readonly PutRequest: GeneratedMessage;
  readonly WatchResponse: GeneratedMessage;
}

function committed(): Codec {
  return tsProtoCodec("store/proto/gen", { PutRequest, WatchResponse } as unknown as GeneratedModule);
}

async function plainTsProto(): Promise<Codec> {
  return tsProtoCodec(
    "ts-proto as it is",
    (await import(join(cache, "ts-proto", "rpc.ts"))) as GeneratedModule,
  );
}

function tsProtoCodec(name: string, module: GeneratedModule): Codec {
  return {
    name,
    decodePut: (bytes) => module.PutRequest.decode(bytes),
    decodeWatch: (bytes) => module.WatchResponse.decode(bytes),
    encodePut: (message) => module.PutRequest.encode(message).finish(),
    encodeWatch: (message) => module.WatchResponse.encode(message).finish(),
  };
}

interface EsModule {
  readonly PutRequestSchema: unknown;
  readonly WatchResponseSchema: unknown;
}

interface EsRuntime {
  fromBinary(schema: unknown, bytes: Uint8Array): unknown;
  toBinary(schema: unknown, message: unknown): Uint8Array;
}

async function protobufEs(): Promise<Codec> {
  const { fromBinary, toBinary } = (await import("@bufbuild/protobuf")) as unknown as EsRuntime;
  const schemas = (await import(join(cache, "protobuf-es", "rpc_pb.js"))) as EsModule;
  return {
    name: "protobuf-es",
    decodePut: (bytes) => fromBinary(schemas.PutRequestSchema, bytes),
    decodeWatch: (bytes) => fromBinary(schemas.WatchResponseSchema, bytes),
    encodePut: (message) => toBinary(schemas.PutRequestSchema, message),
    encodeWatch: (message) => toBinary(schemas.WatchResponseSchema, message),
  };
}

/** Writes both candidates into the ignored cache folder, from the same .proto files. */
function generateCandidates(): void {
  mkdirSync(cache, { recursive: true });
  const bin = (name: string) => join(root, "node_modules", ".bin", name);
  const tsProtoOptions =
    "esModuleInterop=true,env=node,forceLong=bigint,useJsTypeOverride=true,enumsAsLiterals=true,oneof=unions-value," +
    "importSuffix=.ts,outputJsonMethods=false,outputServices=none,useExactTypes=false,exportCommonSymbols=false";
  const template = {
    version: "v2",
    plugins: [
      { local: bin("protoc-gen-ts_proto"), out: join(cache, "ts-proto"), opt: tsProtoOptions },
      { local: bin("protoc-gen-es"), out: join(cache, "protobuf-es"), opt: "target=js,import_extension=js" },
    ],
  };
  execFileSync(bin("buf"), ["generate", "--template", JSON.stringify(template)], {
    cwd: join(root, "store", "proto"),
    stdio: "inherit",
  });
}
