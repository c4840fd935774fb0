import { zstdCompressSync, zstdDecompressSync } from "node:zlib";
import kafkajs from "kafkajs";

const { CompressionCodecs, CompressionTypes } = kafkajs;

// kafkajs knows zstd by number only. Importing this file teaches it.
CompressionCodecs[CompressionTypes.ZSTD] = () => ({
  compress: async (encoder: { readonly buffer: Buffer }) => zstdCompressSync(encoder.buffer),
  decompress: async (buffer: Buffer) => zstdDecompressSync(buffer),
});
