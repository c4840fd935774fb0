import { createWriteStream } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";

/**
 * A small program that writes a log, as any program would: it knows nothing of who reads it.
 *   node deploy/tour/writer.ts FILE NAME LINES_PER_SECOND
 * Each line carries a number, so that the account at the end can tell a lost line from one that came twice. SIGHUP:
 * opens FILE anew, as programs do after logrotate renamed it. SIGTERM: ends after a whole line and prints the count.
 */
const TICK_MS = 20;
const MESSAGES = ["GET /", "GET /cart", "POST /order", "GET /item/4711", "cache miss", "user signed in"];

const [file, name, linesPerSecond] = [process.argv[2], process.argv[3], Number(process.argv[4])];
if (file === undefined || name === undefined || !(linesPerSecond > 0)) {
  process.stderr.write("Usage: writer.ts FILE NAME LINES_PER_SECOND\n");
  process.exit(2);
}

let stopping = false;
let reopening = false;
process.once("SIGTERM", () => {
  stopping = true;
});
process.on("SIGHUP", () => {
  reopening = true;
});

let output = createWriteStream(file, { flags: "a" });
let written = 0;
const startMs = performance.now();

while (!stopping) {
  await sleep(TICK_MS);
  if (reopening) {
    reopening = false;
    await end();
    output = createWriteStream(file, { flags: "a" });
  }
  const due = Math.floor(((performance.now() - startMs) / 1000) * linesPerSecond);
  for (; written < due; written += 1) {
    output.write(
      `${new Date().toISOString()} ${name} #${written + 1} ${MESSAGES[written % MESSAGES.length]}\n`,
    );
  }
}
await end();
process.stdout.write(`${written}\n`);

function end(): Promise<void> {
  return new Promise((resolve, reject) => {
    output.once("error", reject);
    output.end(resolve);
  });
}
