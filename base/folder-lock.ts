import { readFileSync } from "node:fs";
import { mkdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { connect, createServer, type Server } from "node:net";
import { dirname, join } from "node:path";
import { CodedError, errorCode } from "./errors.ts";

/** Held while a process owns a data folder; the kernel frees it when the process dies, however it dies. */
export interface FolderLock extends AsyncDisposable {
  readonly folder: string;
  /** Idempotent. */
  release(): Promise<void>;
}

const OWNER_FILE = "owner.json";

interface Owner {
  readonly pid: number;
  /** Field 22 of /proc/PID/stat, in clock ticks since boot: tells a process from a later one with the same pid. */
  readonly startTicks: string;
  readonly bootId: string;
}

/**
 * Makes `folder` (0700) and takes it for this process. Two guards: an abstract unix socket named by the folder's device
 * and inode, which no crash leaves behind; and a file with pid, start time and boot id, for an owner in another network
 * namespace. Throws CodedError "ELOCKED" when another process holds it, naming its pid where that is known.
 */
export async function lockFolder(folder: string): Promise<FolderLock> {
  await makeFolders(folder);
  const { dev, ino } = await stat(folder, { bigint: true });
  const ownerPath = join(folder, OWNER_FILE);
  const socket = await bindAbstract(socketName({ dev, ino }));
  const previous = await readOwner(ownerPath);
  if (socket === undefined || (previous !== undefined && isAlive(previous))) {
    socket?.close();
    const who = previous === undefined ? "another process" : `process ${previous.pid}`;
    throw new CodedError(
      "ELOCKED",
      `Cannot use data folder ${folder}: ${who} is using it, expected no other owner`,
    );
  }
  await writeFile(ownerPath, JSON.stringify(ownerOf(process.pid)), { mode: 0o600 });
  let released: Promise<void> | undefined;
  const release = () => {
    released ??= releaseBoth(socket, ownerPath);
    return released;
  };
  return { folder, release, [Symbol.asyncDispose]: release };
}

/** Does a process own the folder? Takes nothing, also not for a moment. Throws what `stat` throws. */
export async function isFolderLocked(folder: string): Promise<boolean> {
  if (await answers(socketName(await stat(folder, { bigint: true })))) return true;
  const owner = await readOwner(join(folder, OWNER_FILE));
  return owner !== undefined && isAlive(owner);
}

function socketName({ dev, ino }: { readonly dev: bigint; readonly ino: bigint }): string {
  return `logagent-folder-${dev}-${ino}`;
}

/**
 * Makes a folder and those above it. Not by Node's `recursive`, which tries for ever, and cannot be ended, where a file
 * system answers ENOENT for a folder that it will not make (/proc, automounts).
 */
async function makeFolders(folder: string): Promise<void> {
  try {
    await makeFolder(folder);
  } catch (error) {
    if (errorCode(error) !== "ENOENT" || dirname(folder) === folder) throw error;
    await makeFolders(dirname(folder));
    await makeFolder(folder);
  }
}

/** One folder, unless it is there. */
async function makeFolder(folder: string): Promise<void> {
  try {
    await mkdir(folder, { mode: 0o700 });
  } catch (error) {
    if (errorCode(error) === "ENOENT" || !(await isFolder(folder))) throw error;
  }
}

async function isFolder(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory();
  } catch {
    return false;
  }
}

/** The file goes first: while the socket is held nobody else can have written it. */
async function releaseBoth(socket: Server, ownerPath: string): Promise<void> {
  try {
    await rm(ownerPath, { force: true });
  } finally {
    await new Promise<void>((resolve) => socket.close(() => resolve()));
  }
}

/** Listens on an abstract socket; undefined when somebody already does. */
function bindAbstract(name: string): Promise<Server | undefined> {
  return new Promise((resolve, reject) => {
    const server = createServer((connection) => connection.destroy());
    server.once("error", (error) => (errorCode(error) === "EADDRINUSE" ? resolve(undefined) : reject(error)));
    server.listen({ path: `\0${name}` }, () => {
      server.unref();
      resolve(server);
    });
  });
}

/** Does somebody listen on an abstract socket? */
function answers(name: string): Promise<boolean> {
  return new Promise((resolve) => {
    const connection = connect({ path: `\0${name}` });
    connection.once("connect", () => {
      connection.destroy();
      resolve(true);
    });
    // A listener that is too busy to take it (EAGAIN) is one.
    connection.once("error", (error) => resolve(errorCode(error) !== "ECONNREFUSED"));
  });
}

async function readOwner(path: string): Promise<Owner | undefined> {
  try {
    return JSON.parse(await readFile(path, "utf8")) as Owner;
  } catch (error) {
    // A file that a crash cut short names nobody; the socket still guards the folder.
    if (errorCode(error) === "ENOENT" || error instanceof SyntaxError) return undefined;
    throw error;
  }
}

function isAlive(owner: Owner): boolean {
  if (owner.pid === process.pid) return false;
  const now = ownerOf(owner.pid);
  return now !== undefined && now.startTicks === owner.startTicks && now.bootId === owner.bootId;
}

function ownerOf(pid: number): Owner | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    const fieldsAfterName = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    // A process that was killed and not yet waited for is there, and owns nothing any more.
    if (/^[ZXx]$/.test(fieldsAfterName[0] ?? "")) return undefined;
    const bootId = readFileSync("/proc/sys/kernel/random/boot_id", "latin1").trim();
    return { pid, startTicks: fieldsAfterName[19] ?? "", bootId };
  } catch (error) {
    if (errorCode(error) === "ENOENT" || errorCode(error) === "ESRCH") return undefined;
    throw error;
  }
}
