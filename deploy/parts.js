// The real Kafka, etcd and logrotate that tests (and `npm start -- --kafka`) run against, and the scripts of etcd-io/raft's own
// tests: fetched or built once, into a cache folder. Plain JavaScript, no dependencies: it also runs on the machine's own Node.
//   node deploy/parts.js kafka etcd raft logrotate
import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { chmod, copyFile, cp, mkdir, readdir, readFile, rm } from "node:fs/promises";
import path from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { ensurePart, findPart, onPath, PartError, root, translated } from "./part-cache.js";
import { CommandError, runWithProgress } from "./progress.js";

export const KAFKA_VERSION = "4.1.0";
export const ETCD_VERSION = "3.7.3";
/** The release of go.etcd.io/raft/v3 that etcd of the version above is built with. */
export const RAFT_VERSION = "3.7.0";
export const KAFKA_IMAGE = `apache/kafka:${KAFKA_VERSION}`;
const ETCD_IMAGE = `quay.io/coreos/etcd:v${ETCD_VERSION}`;
const GO_IMAGE = "golang:1.26";
const ETCD_PROGRAMS = { etcd: "server", etcdctl: "etcdctl", etcdutl: "etcdutl" };
/** As it is called and as its folder in Go's module cache is. */
const RAFT_MODULE = `go.etcd.io/raft/v3@v${RAFT_VERSION}`;
const RAFT_SCRIPTS = ["testdata", "quorum/testdata", "confchange/testdata"];

const recipes = path.join(root, "test", "support", "parts");

/**
 * @typedef {{ kind: "jars", folder: string } | { kind: "image", image: string }} KafkaPart
 *   `folder` holds the broker's jars, for a Java 17; `image` is for `docker run`.
 */

/** Everything `npm test` needs. A broker named in KAFKA_BROKERS makes our own unnecessary. */
export async function ensureTestParts() {
  if (!process.env.KAFKA_BROKERS) await ensureKafka();
  await ensureEtcd();
  await ensureRaftScripts();
  await ensureLogrotate();
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
 * The data-driven scripts of etcd-io/raft's own tests: out of its module, which Go fetches into its module cache, where
 * it may be already; or which it fetches in a container where there is Docker instead.
 *
 * @returns {Promise<string>} a folder that holds the module's folders `testdata`, `quorum/testdata` and `confchange/testdata`
 * @throws {PartError}
 */
export async function ensureRaftScripts() {
  const recipe = path.join(recipes, "raft");
  const name = `raft-scripts-${RAFT_VERSION}`;
  const built = await findPart(name, recipe);
  if (built !== undefined) return built;
  if (onPath("go")) return ensurePart(name, recipe, (target) => copyRaftScripts(recipe, target));
  if (onPath("docker")) return ensurePart(name, recipe, copyRaftScriptsFromImage);
  throw new PartError(
    `The test scripts of etcd-io/raft ${RAFT_VERSION} cannot be fetched: go is not on the PATH. Install Go 1.24 or newer, or Docker.`,
  );
}

/**
 * @param {string} recipe
 * @param {string} target
 */
async function copyRaftScripts(recipe, target) {
  await runWithProgress(
    `etcd-io/raft ${RAFT_VERSION}: fetching its test scripts with Go`,
    "go",
    ["mod", "download", RAFT_MODULE],
    { cwd: recipe },
  );
  const cache = execFileSync("go", ["env", "GOMODCACHE"], { cwd: recipe, encoding: "utf8" }).trim();
  // One by one: folders of the module cache are read-only, and a copy of them would be too.
  for (const folder of RAFT_SCRIPTS) {
    const from = path.join(cache, RAFT_MODULE, folder);
    await mkdir(path.join(target, folder), { recursive: true });
    for (const file of await readdir(from))
      await copyFile(path.join(from, file), path.join(target, folder, file));
  }
}

/** @param {string} target */
async function copyRaftScriptsFromImage(target) {
  const container = `logagent-raft-${process.pid}`;
  const title = `etcd-io/raft ${RAFT_VERSION}`;
  const download = ["go", "mod", "download", RAFT_MODULE];
  await runWithProgress(`${title}: pulling ${GO_IMAGE}`, "docker", [
    "create",
    "--name",
    container,
    GO_IMAGE,
    ...download,
  ]);
  try {
    await runWithProgress(`${title}: fetching its test scripts`, "docker", ["start", "--attach", container]);
    for (const folder of RAFT_SCRIPTS) {
      await mkdir(path.join(target, path.dirname(folder)), { recursive: true });
      await runWithProgress(`${title}: copying ${folder}`, "docker", [
        "cp",
        `${container}:/go/pkg/mod/${RAFT_MODULE}/${folder}`,
        path.join(target, folder),
      ]);
    }
  } finally {
    await runWithProgress(`${title}: removing the container`, "docker", ["rm", container]);
  }
}

/**
 * logrotate: out of Debian's (or Ubuntu's) packages, which need not be installed for that, nor by root; elsewhere the one that
 * is installed.
 *
 * @returns {Promise<{ program: string, libraries: string[] }>} `libraries`: folders for LD_LIBRARY_PATH
 * @throws {PartError}
 */
export async function ensureLogrotate() {
  const recipe = path.join(recipes, "logrotate");
  const built = await findPart("logrotate", recipe);
  if (built === undefined && !(onPath("apt-get") && onPath("dpkg"))) {
    const program = ["/usr/sbin/logrotate", "/usr/bin/logrotate"].find((file) => existsSync(file));
    if (program !== undefined) return { program, libraries: [] };
    throw new PartError(
      "logrotate cannot be had: it is not installed, and neither are apt-get and dpkg, which fetch it. Install logrotate.",
    );
  }
  const folder =
    built ?? (await ensurePart("logrotate", recipe, (target) => unpackLogrotate(recipe, target)));
  const libraries = [];
  for (const parent of ["lib", "usr/lib"].map((name) => path.join(folder, name))) {
    if (!existsSync(parent)) continue;
    for (const name of await readdir(parent))
      if (name.includes("-linux-")) libraries.push(path.join(parent, name));
  }
  return { program: path.join(folder, "usr", "sbin", "logrotate"), libraries };
}

/**
 * @param {string} recipe
 * @param {string} target
 */
async function unpackLogrotate(recipe, target) {
  const packages = (await readFile(path.join(recipe, "packages.txt"), "utf8")).trim().split("\n");
  const title = "logrotate: fetching its packages";
  const download = ["-o", "APT::Sandbox::User=", "download", ...packages];
  try {
    await runWithProgress(title, "apt-get", download, { cwd: target });
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    // The machine's own lists may be empty, as in an image, or too old; lists of our own need no root.
    const state = path.join(target, "apt");
    await mkdir(path.join(state, "lists", "partial"), { recursive: true });
    const own = ["-o", `Dir::State::lists=${path.join(state, "lists")}`, "-o", `Dir::Cache=${state}`];
    const update = [...own, "-o", "APT::Sandbox::User=", "update"];
    await runWithProgress("logrotate: fetching the lists of packages", "apt-get", update, { cwd: target });
    await runWithProgress(title, "apt-get", [...own, ...download], { cwd: target });
    await rm(state, { recursive: true });
  }
  for (const name of await readdir(target)) {
    const file = path.join(target, name);
    await runWithProgress(`logrotate: unpacking ${name}`, "dpkg", ["-x", file, target]);
    await rm(file);
  }
}

/** @param {string[]} names */
async function main(names) {
  for (const name of names) {
    if (name === "kafka") await ensureKafka();
    else if (name === "etcd") await ensureEtcd();
    else if (name === "raft") await ensureRaftScripts();
    else if (name === "logrotate") await ensureLogrotate();
    else throw new PartError(`Unknown part "${name}": the parts are kafka, etcd, raft and logrotate`);
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
