import { promisify } from "node:util";
import zlib from "node:zlib";
import type { Compression } from "./batch-header.ts";

const zstdCompress = promisify<zlib.InputType, zlib.ZstdOptions, NonSharedBuffer>(zlib.zstdCompress);
const zstdDecompress = promisify<zlib.InputType, NonSharedBuffer>(zlib.zstdDecompress);
const gzip = promisify<zlib.InputType, zlib.ZlibOptions, NonSharedBuffer>(zlib.gzip);
const gunzip = promisify<zlib.InputType, NonSharedBuffer>(zlib.gunzip);

/** Logs shrink well at the lowest level; higher ones cost several times the CPU for a few percent. */
const LEVEL = 1;
/** Output is gathered in pieces of this size. */
const CHUNK_BYTES = 256 * 1024;

/** Compresses in the thread pool; `bytes` must not change until it resolves. */
export function compress(bytes: Buffer, compression: Exclude<Compression, "none">): Promise<Buffer> {
  const chunkSize = Math.min(CHUNK_BYTES, Math.max(4096, bytes.length >>> 1));
  switch (compression) {
    case "gzip":
      return gzip(bytes, { level: LEVEL, chunkSize });
    case "zstd":
      return zstdCompress(bytes, { chunkSize, params: { [zlib.constants.ZSTD_c_compressionLevel]: LEVEL } });
    default:
      return compression satisfies never;
  }
}

/** The inverse of {@link compress}. */
export function decompress(bytes: Buffer, compression: Exclude<Compression, "none">): Promise<Buffer> {
  switch (compression) {
    case "gzip":
      return gunzip(bytes);
    case "zstd":
      return zstdDecompress(bytes);
    default:
      return compression satisfies never;
  }
}
