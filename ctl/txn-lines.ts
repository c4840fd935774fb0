import { Command, CommanderError } from "commander";
import type { Compare, Operation } from "../store/client/operations.ts";
import { delRequest, describeDel } from "./commands/del.ts";
import { describeGet, getRequest } from "./commands/get.ts";
import { describePut, putRequest } from "./commands/put.ts";
import { goUnquote, parseCount, parseInt64 } from "./go-text.ts";
import { UsageError } from "./usage-error.ts";

/** A Go string, as `%q` reads it: double quotes with escapes, or back quotes. */
const QUOTED = '"(?:[^"\\\\]|\\\\.)*"|`[^`]*`';
const COMPARE = new RegExp(`^\\s*(${QUOTED})\\s*\\)\\s*(\\S+)\\s+(${QUOTED})`);
const WORD = /"(?:[^"\\]|\\.)*"|'[^']*'|[^'"\s]\S*[^'"\s]?/g;

const TARGETS: Readonly<Record<string, Compare["target"]>> = {
  ver: "version",
  version: "version",
  c: "create",
  create: "create",
  m: "mod",
  mod: "mod",
  val: "value",
  value: "value",
  lease: "lease",
};

/** A compare line of `txn`: `mod("key") > "0"`. Throws UsageError in etcdctl's words. */
export function parseCompare(line: string): Compare {
  const open = line.indexOf("(");
  if (open < 0) throw new UsageError(`malformed comparison: ${line}`);
  const name = line.slice(0, open);
  const [, quotedKey = "", result = "", quotedOperand = ""] = COMPARE.exec(line.slice(open + 1)) ?? [];
  const key = goUnquote(quotedKey);
  const operand = goUnquote(quotedOperand);
  if (quotedKey === "" || key === undefined || operand === undefined) {
    throw new UsageError(`malformed comparison: ${line}; expected TARGET("key") = "value"`);
  }
  const target = TARGETS[name];
  if (target === undefined) throw new UsageError(`malformed comparison: ${line} (unknown target ${name})`);
  if (result !== "=" && result !== "!=" && result !== ">" && result !== "<") {
    throw new UsageError(
      `malformed comparison: ${line} (unknown operator ${result}, expected =, !=, > or <)`,
    );
  }
  try {
    return withOperand({ key, result }, target, operand);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    throw new UsageError(`invalid txn compare request: ${line}`);
  }
}

/** A request line of `txn`: `put key "value" --lease=1`, with the flags of the verb. Throws UsageError. */
export async function parseOperation(line: string): Promise<Operation> {
  const words = splitWords(line);
  const invalid = new UsageError(`invalid txn request: ${line}`);
  if (words.length < 2) throw new UsageError(`invalid txn compare request: ${line}`);
  const { program, parsed } = operationParser();
  try {
    await program.parseAsync(words, { from: "user" });
  } catch (error) {
    if (error instanceof CommanderError) throw new UsageError(`${invalid.message} (${error.message})`);
    throw error;
  }
  if (parsed.operation === undefined) throw invalid;
  return parsed.operation;
}

/** Words as etcdctl splits them: quotes hold spaces, and escapes in double quotes are Go's. */
export function splitWords(line: string): string[] {
  return (line.match(WORD) ?? []).map((word) => {
    if (word.startsWith("'")) return word.slice(1, -1);
    if (!word.startsWith('"')) return word;
    const text = goUnquote(word);
    if (text === undefined) throw new UsageError(`bad quoted string ${word}`);
    return text.toString("utf8");
  });
}

function withOperand(
  at: { readonly key: Buffer; readonly result: Compare["result"] },
  target: Compare["target"],
  operand: Buffer,
): Compare {
  const text = operand.toString("utf8");
  switch (target) {
    case "value":
      return { ...at, target, operand };
    case "lease":
      return { ...at, target, operand: parseInt64(text, 16) };
    case "version":
    case "create":
    case "mod":
      return { ...at, target, operand: parseCount(text) };
    default:
      return target satisfies never;
  }
}

function operationParser(): {
  readonly program: Command;
  readonly parsed: { operation: Operation | undefined };
} {
  const parsed: { operation: Operation | undefined } = { operation: undefined };
  const program = new Command("txn").exitOverride().configureOutput({ writeErr: () => undefined });
  const put = describePut(program.command("put"));
  put.action((key?: string, value?: string) => {
    const request = putRequest([key, value], put.opts());
    if (request.value === undefined) throw new UsageError("put in a txn needs a key and a value");
    parsed.operation = { kind: "put", key: request.key, value: request.value, ...request.options };
  });
  const get = describeGet(program.command("get"));
  get.action((key?: string, rangeEnd?: string) => {
    const request = getRequest([key, rangeEnd], get.opts());
    parsed.operation = { kind: "range", key: request.key, ...request.options };
  });
  const del = describeDel(program.command("del"));
  del.action((key?: string, rangeEnd?: string) => {
    const request = delRequest([key, rangeEnd], del.opts());
    parsed.operation = { kind: "delete", key: request.key, ...request.options };
  });
  return { program, parsed };
}
