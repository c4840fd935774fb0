// Run by npm before `npm start` and `npm test`, on whatever Node the machine has: plain JavaScript, no dependencies.
//   node deploy/prepare.js           the packages of package-lock.json
//   node deploy/prepare.js tests     these, and the parts that tests run against
import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { PartError } from "./part-cache.js";
import { ensureTestParts } from "./parts.js";
import { CommandError, runWithProgress } from "./progress.js";

/** @typedef {{ version?: string, resolved?: string, integrity?: string, optional?: boolean, link?: boolean }} LockedPackage */

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));

try {
  await installPackages();
  if (process.argv[2] === "tests") await ensureTestParts();
} catch (error) {
  if (!(error instanceof CommandError || error instanceof PartError)) throw error;
  process.stderr.write(`\n${error.message}\n`);
  if (error.output !== "") process.stderr.write(`\nThe end of its output:\n${error.output}\n`);
  process.exitCode = 1;
}

/** Runs `npm ci` unless node_modules holds exactly what package-lock.json names. */
async function installPackages() {
  const reason = whyInstall();
  if (reason === undefined) return;
  process.stderr.write(
    `Installing the packages of package-lock.json into node_modules/, because ${reason}.\n`,
  );
  // The machine's own npm and Node: the Node in node_modules is what gets replaced.
  const searchPath = (process.env.PATH ?? "")
    .split(path.delimiter)
    .filter((folder) => !folder.endsWith(path.join("node_modules", ".bin")))
    .join(path.delimiter);
  await runWithProgress("npm ci", "npm", ["ci", "--include=dev", "--no-audit", "--no-fund"], {
    cwd: root,
    env: { ...process.env, PATH: searchPath },
  });
  const stillMissing = whyInstall();
  if (stillMissing !== undefined) {
    throw new CommandError(
      `npm ci left node_modules incomplete: ${stillMissing}. If npm is set to ignore install scripts, run it without that.`,
      "",
    );
  }
}

/**
 * What node_modules lacks, as the end of a sentence; undefined if it is complete. npm keeps what it installed in
 * node_modules/.package-lock.json, in the format of package-lock.json.
 *
 * @returns {string | undefined}
 */
function whyInstall() {
  const wanted = lockedPackages(path.join(root, "package-lock.json"));
  if (wanted === undefined)
    throw new CommandError("package-lock.json cannot be read: the clone is not complete", "");
  const installed = lockedPackages(path.join(root, "node_modules", ".package-lock.json"));
  if (installed === undefined) return "they are not there yet";

  for (const [folder, entry] of wanted) {
    if (folder === "") continue;
    const present = installed.get(folder);
    // An optional package may be for another operating system.
    if (present === undefined && entry.optional === true) continue;
    if (present === undefined) return `${folder} is missing`;
    if (present.version !== entry.version || present.integrity !== entry.integrity) {
      return `${folder} is ${present.version}, not ${entry.version}`;
    }
    if (!existsSync(path.join(root, folder))) return `${folder} is missing`;
  }
  for (const folder of installed.keys()) {
    if (!wanted.has(folder)) return `${folder} is no longer wanted`;
  }
  // Its install script puts it there, and npm can be set to run no scripts.
  if (!existsSync(path.join(root, "node_modules", ".bin", "node")))
    return "node_modules/.bin/node is missing";
  return undefined;
}

/**
 * @param {string} file
 * @returns {Map<string, LockedPackage> | undefined} folder → entry; undefined if there is no such file
 */
function lockedPackages(file) {
  if (!existsSync(file)) return undefined;
  return new Map(Object.entries(JSON.parse(readFileSync(file, "utf8")).packages));
}
