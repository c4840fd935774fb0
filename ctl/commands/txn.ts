import type { Command } from "commander";
import type { Operation } from "../../store/client/operations.ts";
import { readLines } from "../io.ts";
import type { Session } from "../session.ts";
import { parseCompare, parseOperation } from "../txn-lines.ts";
import { UsageError } from "../usage-error.ts";

/** `txn [options]`: compares, success requests and failure requests from standard input, an empty line after each part. */
export function addTxn(program: Command, session: Session): void {
  const command = program
    .command("txn")
    .description("Processes all the requests of standard input in one transaction")
    .option("-i, --interactive", "say what is read next", false);
  command.action(async () => {
    const { interactive } = command.opts<{ readonly interactive: boolean }>();
    const prompt = (text: string) => interactive && session.io.out(`${text}\n`);
    const write = session.writer("txn");
    const lines = readLines(session.io.input);
    prompt("compares:");
    const compare = (await readPart(lines)).map(parseCompare);
    prompt("success requests (get, put, del):");
    const success = await operations(await readPart(lines));
    prompt("failure requests (get, put, del):");
    const failure = await operations(await readPart(lines));
    const client = await session.client();
    write(await client.txn({ compare, success, failure }, { signal: session.signal }));
  });
}

/** The lines up to an empty one, which must be there. */
async function readPart(lines: AsyncGenerator<string, void>): Promise<string[]> {
  const part: string[] = [];
  for (;;) {
    const { value, done } = await lines.next();
    if (done === true) throw new UsageError("EOF");
    const line = (value ?? "").trim();
    if (line === "") return part;
    part.push(line);
  }
}

async function operations(lines: readonly string[]): Promise<Operation[]> {
  return Promise.all(lines.map(parseOperation));
}
