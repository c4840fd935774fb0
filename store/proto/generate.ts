// Writes store/proto/gen from the .proto files beside it: `npm run proto`. buf compiles them itself, so that no protoc is needed.
import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const here = import.meta.dirname;
const gen = join(here, "gen");

execFileSync("npx", ["--no-install", "buf", "generate"], { cwd: here, stdio: "inherit" });
for (const name of readdirSync(gen)) {
  const file = join(gen, name);
  writeFileSync(file, withoutRangeChecks(readFileSync(file, "utf8")));
}

// The writer checks the range of a 64-bit number again, and for a JS_NUMBER field in a oneof the check does not compile.
function withoutRangeChecks(source: string): string {
  return source.replace(/^ *if \(BigInt\.as(?:Int|Uint)N\(64,.*\{\n.*throw new .*\n *\}\n/gm, "");
}
