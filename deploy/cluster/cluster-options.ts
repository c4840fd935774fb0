import { parseArgs } from "node:util";
import { errorMessage } from "../../base/errors.ts";

export interface ClusterOptions {
  readonly size: 3 | 5;
  /** Goes on with the cluster in it, if it has one; absent: a new cluster in the default folder. */
  readonly folder: string | undefined;
  /** For each logstore. */
  readonly storeFlags: readonly string[];
}

export const USAGE = `Usage: npm run cluster [-- [--members 3|5] [--folder DIR] [-- FLAG…]]
  --members 3|5   how many members (3)
  --folder DIR    keeps the cluster's data there, and goes on with a cluster that is there; without it: .cluster, emptied at each start
  -- FLAG…        flags of logstore, for each member: -- --snapshot-count=1000
`;

/** Reads the command line; a string is what is wrong with it, and "help" that it asks for the usage. */
export function readClusterOptions(
  argv: readonly string[],
): ClusterOptions | "help" | { readonly problem: string } {
  const at = argv.indexOf("--");
  const own = at === -1 ? argv : argv.slice(0, at);
  const storeFlags = at === -1 ? [] : argv.slice(at + 1);
  try {
    const { values } = parseArgs({
      args: [...own],
      options: {
        members: { type: "string", default: "3" },
        folder: { type: "string" },
        help: { type: "boolean", short: "h", default: false },
      },
    });
    if (values.help) return "help";
    const size = Number(values.members);
    if (size !== 3 && size !== 5) return { problem: `--members is "${values.members}", expected 3 or 5` };
    if (values.folder === "") return { problem: "--folder is empty, expected a path" };
    return { size, folder: values.folder, storeFlags };
  } catch (error) {
    return { problem: errorMessage(error) };
  }
}
