// Writes store/proto/gen from the .proto files beside it: `npm run proto`. buf compiles them itself, so that no protoc is
// needed. ts-proto's code is then put on our own reader and writer; docs/adr/0001-protobuf-generator.md says why.
import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

interface Rewrite {
  readonly pattern: RegExp;
  readonly replacement: string;
}

const REWRITES: readonly Rewrite[] = [
  {
    pattern: /^import \{ BinaryReader, BinaryWriter \} from "@bufbuild\/protobuf\/wire";$/m,
    replacement:
      'import { BinaryReader, EMPTY_BYTES } from "../binary-reader.ts";\nimport { BinaryWriter } from "../binary-writer.ts";',
  },
  // The writer checks the range itself, and for a JS_NUMBER field in a oneof the generated check does not compile.
  { pattern: /^ *if \(BigInt\.as(?:Int|Uint)N\(64,.*\{\n *throw new [^;]*;\n *\}\n/gm, replacement: "" },
  // Numbers go to and from the wire as numbers, not through bigint and decimal text.
  { pattern: /\.(u?int64)\(BigInt\((message\.\w+)\)\)/g, replacement: ".$1($2)" },
  { pattern: /longToNumber\(reader\.int64\(\)\)/g, replacement: "reader.safeInt64()" },
  { pattern: /longToNumber\(reader\.uint64\(\)\)/g, replacement: "reader.safeUint64()" },
  { pattern: /^function longToNumber[\s\S]*?\n\}\n\n/m, replacement: "" },
  // The reader gives Buffers already, and an empty one needs no allocation.
  { pattern: /Buffer\.from\(reader\.bytes\(\)\)/g, replacement: "reader.bytes()" },
  { pattern: /Buffer\.alloc\(0\)/g, replacement: "EMPTY_BYTES" },
  // Malformed input is an error, not the end of the message.
  {
    pattern: /^ *if \(\(tag & 7\) === 4 \|\| tag === 0\) \{\n *break;\n *\}\n( *)reader\.skip\(tag & 7\);$/gm,
    replacement: "$1reader.skip(tag);",
  },
  {
    pattern: /^( *)return message;\n( *\} finally)/gm,
    replacement: "$1reader.assertEnd(end);\n$1return message;\n$2",
  },
];

/** Were any of these left, the generator's output has changed and REWRITES must follow. */
const LEFTOVER =
  /longToNumber|Buffer\.(?:from|alloc)\(|BigInt\(message|@bufbuild|as(?:Int|Uint)N|skip\(tag & 7\)|tag === 0/;

const here = import.meta.dirname;
const base = process.argv[2] ?? here; // a test generates elsewhere and compares
const gen = join(base, "gen");
const buf = join(here, "..", "..", "node_modules", ".bin", "buf");

execFileSync(buf, ["generate", "--output", base], { cwd: here, stdio: "inherit" });
for (const name of readdirSync(gen)) rewriteFile(join(gen, name));

function rewriteFile(file: string): void {
  let source = readFileSync(file, "utf8");
  for (const { pattern, replacement } of REWRITES) source = source.replace(pattern, replacement);
  const leftover = LEFTOVER.exec(source);
  if (leftover !== null)
    throw new Error(`Cannot adapt ${file}: "${leftover[0]}" is left at character ${leftover.index}`);
  const bytesFields = source.split("EMPTY_BYTES").length - 2;
  if (bytesFields === 0) source = source.replace("BinaryReader, EMPTY_BYTES", "BinaryReader");
  writeFileSync(file, source);
}
