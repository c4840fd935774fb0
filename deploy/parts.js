// The real Kafka and etcd that tests (and `npm start -- --kafka`) run against: fetched or built once, into a cache folder.
// Plain JavaScript, no dependencies: it also runs on the machine's own Node.
//   node deploy/parts.js kafka etcd
import { createHash } from "node:crypto";
import { accessSync, constants, existsSync } from "node:fs";
import { chmod, cp, mkdir, mkdtemp, readdir, readFile, rename, rm } from "node:fs/promises";
import path from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { CommandError, runWithProgress } from "./progress.js";

export const KAFKA_VERSION = "4.1.0";
export const ETCD_VERSION = "3.7.3";
export const KAFKA_IMAGE = `apache/kafka:${KAFKA_VERSION}`;
const ETCD_IMAGE = `quay.io/coreos/etcd:v${ETCD_VERSION}`;
const ETCD_PROGRAMS = { etcd: "server", etcdctl: "etcdctl", etcdutl: "etcdutl" };

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const recipes = path.join(root, "test", "support", "parts");

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
 * @typedef {{ kind: "jars", folder: string } | { kind: "image", image: string }} KafkaPart
 *   `folder` holds the broker's jars, for a Java 17; `image` is for `docker run`.
 */

/** Everything `npm test` needs. A broker named in KAFKA_BROKERS makes our own unnecessary. */
export async function ensureTestParts() {
  if (!process.env.KAFKA_BROKERS) await ensureKafka();
  await ensureEtcd();
}

/**
 * The Kafka broker: its jars by Maven, or its image where there is Docker instead.
 *
 * @returns {Promise<KafkaPart>}
 * @throws {PartError}
 */
export async function ensureKafka() {
  const java = onPath("java");
  if (java && onPath("mvn")) {
    const recipe = path.join(recipes, "kafka");
    const folder = await ensurePart(`kafka-${KAFKA_VERSION}`, recipe, (target) =>
      runWithProgress(`Kafka ${KAFKA_VERSION}: fetching its jars with Maven`, "mvn", [
        "--batch-mode",
        "--no-transfer-progress",
        "--file",
        path.join(recipe, "pom.xml"),
        "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies",
        "-DincludeScope=runtime",
        `-DoutputDirectory=${target}`,
      ]),
    );
    return { kind: "jars", folder };
  }
  const built = await findPart(`kafka-${KAFKA_VERSION}`, path.join(recipes, "kafka"));
  if (java && built !== undefined) return { kind: "jars", folder: built };
  if (onPath("docker")) {
    await translated("Kafka", () =>
      runWithProgress(`Kafka ${KAFKA_VERSION}: pulling ${KAFKA_IMAGE}`, "docker", [
        "pull",
        "--quiet",
        KAFKA_IMAGE,
      ]),
    );
    return { kind: "image", image: KAFKA_IMAGE };
  }
  throw new PartError(
    `Kafka cannot be fetched: ${java ? "mvn" : "java"} is not on the PATH. ` +
      "Install Java 17 and Maven 3.6 or newer, or Docker, or set KAFKA_BROKERS to the address of a broker of yours.",
  );
}

/**
 * etcd, etcdctl and etcdutl: built by Go, or copied out of the image where there is Docker instead.
 *
 * @returns {Promise<string>} the folder that holds the three programs
 * @throws {PartError}
 */
export async function ensureEtcd() {
  const recipe = path.join(recipes, "etcd");
  const name = `etcd-${ETCD_VERSION}`;
  const built = await findPart(name, recipe);
  if (built !== undefined) return built;
  if (onPath("go")) return ensurePart(name, recipe, (target) => buildEtcd(recipe, target));
  if (process.platform === "linux" && onPath("docker")) return ensurePart(name, recipe, copyEtcdFromImage);
  throw new PartError(
    "etcd cannot be built: go is not on the PATH. Install Go 1.24 or newer (it fetches the release that etcd needs), or Docker.",
  );
}

/**
 * @param {string} recipe
 * @param {string} target
 */
async function buildEtcd(recipe, target) {
  // Go writes next to go.mod; the recipe stays as it is committed.
  const source = path.join(target, "source");
  await cp(recipe, source, { recursive: true });
  const env = { ...process.env, CGO_ENABLED: "0", GOFLAGS: "-mod=mod" };
  for (const [program, module] of Object.entries(ETCD_PROGRAMS)) {
    await runWithProgress(
      `etcd ${ETCD_VERSION}: building ${program} with Go`,
      "go",
      [
        "build",
        "-trimpath",
        "-ldflags=-s -w",
        "-o",
        path.join(target, program),
        `go.etcd.io/etcd/${module}/v3`,
      ],
      { cwd: source, env },
    );
  }
  await rm(source, { recursive: true });
}

/** @param {string} target */
async function copyEtcdFromImage(target) {
  const container = `logagent-etcd-${process.pid}`;
  await runWithProgress(`etcd ${ETCD_VERSION}: pulling ${ETCD_IMAGE}`, "docker", [
    "create",
    "--quiet",
    "--name",
    container,
    ETCD_IMAGE,
  ]);
  try {
    for (const program of Object.keys(ETCD_PROGRAMS)) {
      const file = path.join(target, program);
      await runWithProgress(`etcd ${ETCD_VERSION}: copying ${program}`, "docker", [
        "cp",
        `${container}:/usr/local/bin/${program}`,
        file,
      ]);
      await chmod(file, 0o755);
    }
  } finally {
    await runWithProgress(`etcd ${ETCD_VERSION}: removing the container`, "docker", ["rm", container]);
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
async function ensurePart(name, recipe, make) {
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
 * @param {string} name
 * @param {string} recipe
 */
async function findPart(name, recipe) {
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
 * @param {string} what
 * @param {() => Promise<void>} work
 */
async function translated(what, work) {
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

/** @param {string} program */
function onPath(program) {
  return (process.env.PATH ?? "").split(path.delimiter).some((folder) => {
    try {
      accessSync(path.join(folder, program), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

/** @param {string[]} names */
async function main(names) {
  for (const name of names) {
    if (name === "kafka") await ensureKafka();
    else if (name === "etcd") await ensureEtcd();
    else throw new PartError(`Unknown part "${name}": the parts are kafka and etcd`);
  }
}

if (process.argv[1] !== undefined && path.resolve(process.argv[1]) === fileURLToPath(import.meta.url)) {
  try {
    await main(process.argv.slice(2));
  } catch (error) {
    if (!(error instanceof PartError)) throw error;
    process.stderr.write(`\n${error.message}\n${error.output}\n`);
    process.exitCode = 1;
  }
}
