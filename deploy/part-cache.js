// Where fetched and built parts of the tests are kept: .cache/parts, or the folder that TEST_PARTS names.
import { createHash } from "node:crypto";
import { accessSync, constants, existsSync } from "node:fs";
import { mkdir, mkdtemp, readdir, readFile, rename, rm } from "node:fs/promises";
import path from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { CommandError } from "./progress.js";

/** The project's folder. */
export const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));

/** A part cannot be had; the message says what is missing and how to get it. */
export class PartError extends Error {
  /**
   * @param {string} message
   * @param {string} [output] the end of what the failed command printed
   */
  constructor(message, output = "") {
    super(message);
    this.name = "PartError";
    this.output = output;
  }
}

/**
 * Makes a part unless it is there. It is made beside its place and renamed into it, so that a part that is there is
 * complete; of two processes that make it at once, the second drops its copy.
 *
 * @param {string} name
 * @param {string} recipe folder of files the part is made from: a change to them makes it anew
 * @param {(target: string) => Promise<void>} make
 * @returns {Promise<string>} the part's folder
 */
export async function ensurePart(name, recipe, make) {
  const folder = await partFolder(name, recipe);
  if (existsSync(folder)) return folder;
  await mkdir(path.dirname(folder), { recursive: true });
  const target = await mkdtemp(`${folder}.making-`);
  try {
    await translated(name, () => make(target));
    await rename(target, folder);
  } catch (error) {
    await rm(target, { recursive: true, force: true });
    if (!existsSync(folder)) throw error;
  }
  return folder;
}

/**
 * The part's folder; undefined if it was not made yet.
 *
 * @param {string} name
 * @param {string} recipe
 */
export async function findPart(name, recipe) {
  const folder = await partFolder(name, recipe);
  return existsSync(folder) ? folder : undefined;
}

/**
 * @param {string} name
 * @param {string} recipe
 */
async function partFolder(name, recipe) {
  const hash = createHash("sha256");
  for (const file of (await readdir(recipe)).sort())
    hash.update(file).update(await readFile(path.join(recipe, file)));
  const parts = path.resolve(process.env.TEST_PARTS || path.join(root, ".cache", "parts"));
  return path.join(parts, `${name}-${hash.digest("hex").slice(0, 8)}`);
}

/**
 * Runs `work`, and tells of a command that failed in it as of a part that cannot be had.
 *
 * @param {string} what
 * @param {() => Promise<void>} work
 * @throws {PartError}
 */
export async function translated(what, work) {
  try {
    await work();
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    throw new PartError(
      `${what} cannot be had: ${error.message}. It is fetched over the network once, and kept after that.`,
      error.output,
    );
  }
}

/**
 * True when this program can be run by its name.
 *
 * @param {string} program
 */
export function onPath(program) {
  return (process.env.PATH ?? "").split(path.delimiter).some((folder) => {
    try {
      accessSync(path.join(folder, program), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}
