import type { Command } from "commander";
import { errorCode, errorMessage } from "../../base/errors.ts";
import type { StoreClient } from "../../store/client/client.ts";
import type { PutOptions } from "../../store/client/operations.ts";
import { checkConfig, checkKnownFields, isConfigKey, statusKeyOf } from "../fleet/check-config.ts";
import { readStatus } from "../fleet/report.ts";
import { readAll } from "../io.ts";
import { parseLeaseId } from "../lease-id.ts";
import type { Session } from "../session.ts";
import { CommandFailed, UsageError } from "../usage-error.ts";

interface PutFlags {
  readonly lease: string;
  readonly prevKv: boolean;
  readonly ignoreValue: boolean;
  readonly ignoreLease: boolean;
}

const USAGE = "put command needs 1 argument and input from stdin or 2 arguments";

/** `put [options] <key> [value]`; without a value it is read from standard input. */
export function addPut(program: Command, session: Session): void {
  const command = describePut(program.command("put")).option(
    "--force",
    "put a collect config that its agent would refuse",
    false,
  );
  command.action(async (key: string | undefined, value: string | undefined) => {
    const flags = command.opts<PutFlags & { readonly force: boolean }>();
    const request = putRequest([key, value], flags);
    const bytes = request.value ?? (await valueFromInput(session));
    const write = session.writer("put");
    const client = await session.client();
    const { signal } = session;
    if (isConfigKey(request.key) && !flags.ignoreValue && !flags.force) {
      await checkForAgent(client, { key: request.key, value: bytes, signal });
    }
    write(await client.put(request.key, bytes, { ...request.options, signal }));
  });
}

/** Arguments and flags of `put`, also as a line of `txn` has them. */
export function describePut(command: Command): Command {
  return command
    .description("Puts the given key into the store")
    .argument("[key]")
    .argument("[value]", "read from standard input when absent")
    .option("--lease <id>", "lease (in hexadecimal) to attach the key to", "0")
    .option("--prev-kv", "answer with what was there", false)
    .option("--ignore-value", "keep the value", false)
    .option("--ignore-lease", "keep the lease", false);
}

/** Throws UsageError. `value` undefined: to be read from the input. */
export function putRequest(
  [key, value]: readonly (string | undefined)[],
  flags: PutFlags,
): {
  readonly key: string;
  readonly value: Buffer | undefined;
  readonly options: PutOptions;
} {
  if (key === undefined) throw new UsageError(USAGE);
  if (flags.ignoreValue && value !== undefined) {
    throw new UsageError("put command needs only 1 argument when 'ignore-value' is set");
  }
  const lease = parseLeaseId(flags.lease, "bad lease ID");
  const { prevKv, ignoreValue, ignoreLease } = flags;
  return {
    key,
    value: flags.ignoreValue ? Buffer.alloc(0) : value === undefined ? undefined : Buffer.from(value, "utf8"),
    options: { lease, prevKv, ignoreValue, ignoreLease },
  };
}

async function valueFromInput(session: Session): Promise<Buffer> {
  const bytes = await readAll(session.io.input);
  if (bytes.length === 0) throw new UsageError(USAGE);
  return bytes;
}

/** A collect config is checked where a person can still mend it, and against what its agent knows. */
async function checkForAgent(
  client: StoreClient,
  put: { readonly key: string; readonly value: Buffer; readonly signal: AbortSignal },
): Promise<void> {
  try {
    checkConfig(put.value);
    const { kv } = await client.get(statusKeyOf(put.key), { signal: put.signal });
    const status = kv === undefined ? undefined : readStatus(kv);
    if (status !== undefined && !("unreadable" in status)) checkKnownFields(put.value, status);
  } catch (error) {
    if (!isRefusal(error)) throw error;
    throw new CommandFailed(
      `refused to put ${put.key}: ${errorMessage(error)} (--force puts it all the same)`,
    );
  }
}

function isRefusal(error: unknown): boolean {
  return error instanceof CommandFailed || errorCode(error) === "EBADCONFIG";
}
