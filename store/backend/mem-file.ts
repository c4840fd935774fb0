import { crc32c } from "@node-rs/crc32";
import BTreeModule from "sorted-btree";
import { CodedError } from "../../base/errors.ts";
import { bytesFromLatin1, latin1FromBytes } from "./latin1.ts";
import { BUCKETS, type Bucket } from "./port.ts";

const BTree = BTreeModule.default;
export type MemTree = InstanceType<typeof BTree<string, Uint8Array>>;

/** What survives a crash of a backend in memory: the committed pairs. Open a new backend over it to "restart". */
export class MemFile {
  #buckets: ReadonlyMap<Bucket, MemTree> = new Map(BUCKETS.map((bucket) => [bucket, new BTree()]));

  get buckets(): ReadonlyMap<Bucket, MemTree> {
    return this.#buckets;
  }

  tree(bucket: Bucket): MemTree {
    return this.#buckets.get(bucket) as MemTree;
  }

  /** Takes over the content of another one, which is not used any more. */
  replaceBy(other: MemFile): void {
    this.#buckets = other.#buckets;
  }
}

const MAGIC = 0x6d656d62;
const PAIR_HEADER_BYTES = 8;
const CRC_BYTES = 4;

/**
 * The content as bytes, the same for the same content: magic; for each bucket the number of its pairs, and for each pair
 * the lengths of key and value, the key and the value; CRC32C. Numbers are 4 bytes, big-endian.
 */
export function encodeMemFile(file: MemFile): Buffer {
  const parts: Buffer[] = [uint32(MAGIC)];
  for (const bucket of BUCKETS) {
    const tree = file.tree(bucket);
    parts.push(uint32(tree.size));
    for (const [key, value] of tree.entries()) {
      parts.push(uint32(key.length), uint32(value.byteLength), bytesFromLatin1(key), Buffer.from(value));
    }
  }
  const content = Buffer.concat(parts);
  return Buffer.concat([content, uint32(crc32c(content))]);
}

/** Throws CodedError EFORMAT, naming `name`, for bytes that {@link encodeMemFile} did not write. */
export function decodeMemFile(bytes: Buffer, name: string): MemFile {
  const end = bytes.length - CRC_BYTES;
  if (
    end < 4 ||
    bytes.readUInt32BE(0) !== MAGIC ||
    crc32c(bytes.subarray(0, end)) !== bytes.readUInt32BE(end)
  ) {
    throw new CodedError(
      "EFORMAT",
      `Cannot open backend ${name}: ${bytes.length} bytes, expected a whole copy`,
    );
  }
  const file = new MemFile();
  let at = 4;
  for (const bucket of BUCKETS) {
    const tree = file.tree(bucket);
    const count = bytes.readUInt32BE(at);
    at += 4;
    for (let i = 0; i < count; i += 1) {
      const keyAt = at + PAIR_HEADER_BYTES;
      const valueAt = keyAt + bytes.readUInt32BE(at);
      const pairEnd = valueAt + bytes.readUInt32BE(at + 4);
      tree.set(
        latin1FromBytes(bytes.subarray(keyAt, valueAt)),
        Buffer.from(bytes.subarray(valueAt, pairEnd)),
      );
      at = pairEnd;
    }
  }
  return file;
}

function uint32(value: number): Buffer {
  const bytes = Buffer.allocUnsafe(4);
  bytes.writeUInt32BE(value >>> 0);
  return bytes;
}
