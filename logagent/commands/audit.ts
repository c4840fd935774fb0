import { join } from "node:path";
import { Command, Option } from "commander";
import { CodedError, errorCode } from "../../base/errors.ts";
import { isFolderLocked } from "../../base/folder-lock.ts";
import { type Audit, audit } from "../audit/audit.ts";
import { auditText } from "../audit/audit-text.ts";
import { findPlaces } from "../audit/file-places.ts";
import { readAccounts, type WrittenAccounts } from "../audit/read-accounts.ts";
import { FolderIndex } from "../source/folder-index.ts";
import { MountTable } from "../source/mount-table.ts";
import { withConfig } from "./config-option.ts";
import { loadConfig } from "./load-config.ts";

interface AuditFlags {
  readonly config: string;
  readonly output: "table" | "json";
}

/** Problems that are listed; the rest is counted. */
const PROBLEMS_SHOWN_MAX = 100;

/** `logagent audit`: what became of every byte, by what the agent has written and the files on disk. It only reads. */
export function auditCommand(): Command {
  return withConfig(new Command("audit"))
    .description(
      "print what became of the bytes of each file, and fail when that does not add up; only reads",
    )
    .addOption(
      new Option("-o, --output <format>", "how it is printed").choices(["table", "json"]).default("table"),
    )
    .action(run);
}

async function run({ config: path, output }: AuditFlags): Promise<void> {
  const { config } = await loadConfig(path);
  // Before its checkpoints are read: an agent that ends writes them first.
  const hasAgent = await hasAgentIn(config.dataDir);
  const written = await readAccounts(join(config.dataDir, "checkpoints"));
  const mounts = new MountTable({ allowsNetwork: config.networkMounts });
  const places = await findPlaces(written.checkpoints.records, new FolderIndex(mounts));
  const result = audit(written, { places, hasAgent });
  process.stdout.write(output === "json" ? json(written, result) : `${auditText(result)}${asOf(written)}\n`);
  const { problems } = result;
  if (problems.length === 0) return;
  const shown = problems.slice(0, PROBLEMS_SHOWN_MAX);
  if (problems.length > shown.length) shown.push(`and ${problems.length - shown.length} more`);
  throw new CodedError("EAUDIT", `It does not add up:\n${shown.join("\n")}`);
}

/** False where it cannot be told: whoever reads the folder then says why. */
async function hasAgentIn(dataDir: string): Promise<boolean> {
  try {
    return await isFolderLocked(dataDir);
  } catch (error) {
    if (errorCode(error) !== undefined) return false;
    throw error;
  }
}

function asOf({ checkpoints, writtenAtMs }: WrittenAccounts): string {
  const end = checkpoints.isClosed
    ? "the agent has ended in peace"
    : "the agent runs, or died; what it did since then shows in its next checkpoints";
  return `As of ${new Date(writtenAtMs).toISOString()}: ${end}`;
}

function json({ checkpoints, writtenAtMs, losses }: WrittenAccounts, result: Audit): string {
  const said = [...losses.values()].map(({ noticedAtMs, ...loss }) => ({
    ...loss,
    at: new Date(noticedAtMs).toISOString(),
  }));
  const { rows, removed, totals, unaccounted, problems } = result;
  const value = {
    asOf: new Date(writtenAtMs).toISOString(),
    isClosed: checkpoints.isClosed,
    files: rows.map(({ size, ...row }) => ({ ...row, size: size ?? null })),
    removed,
    totals,
    losses: said,
    unaccounted,
    addsUp: problems.length === 0,
    problems,
  };
  return `${JSON.stringify(value, undefined, 2)}\n`;
}
