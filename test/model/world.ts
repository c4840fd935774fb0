import { constants } from "node:fs";
import { dirname, join } from "node:path";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { READ_RETRY_MAX_MS } from "../../logagent/source/read-trouble.ts";
import { ROTATE_WAIT_MAX_MS } from "../../logagent/source/rotation.ts";
import { Content } from "./content.ts";
import { type Inode, isGone } from "./inode.ts";
import { real } from "./watched-fs.ts";

const NS_PER_MS = 1_000_000n;
/** What a double of milliseconds since 1970 still tells apart. */
const FINE_NS = 1_000n;

const SHORT_LINE_BYTES = 40;
/** So that files outgrow their fingerprint, and the bytes that are compared before an offset. */
const LONG_LINE_BYTES = 1_500;
const LONG_FROM = 0.8;

export interface WorldOptions {
  readonly folder: string;
  readonly wallMs: () => number;
  readonly tickMs: number;
  readonly hasBirthTimes: boolean;
  readonly lanes: readonly string[];
}

/** Log files, with each byte that ever was in them. Everything that changes a file goes through here, a call at a time. */
export class World {
  readonly contents: Content[] = [];
  readonly folder: string;
  /** Paths at which programs write. */
  readonly lanes: readonly string[];
  /** Symbolic links, and what they lead to. */
  readonly links = new Map<string, string>();
  readonly #options: WorldOptions;
  #inodes: Inode[] = [];
  #changes = 0n;
  /** By folder, when a name in it came or went. */
  readonly #folderChanges = new Map<string, bigint>();
  #lines = 0;

  constructor(options: WorldOptions) {
    this.#options = options;
    this.folder = options.folder;
    this.lanes = options.lanes.map((name) => this.path(name));
    for (const name of ["", "old", "sub", "app"]) real.mkdirSync(this.path(name), { recursive: true });
    real.mkdirSync(`${this.folder}.c`);
  }

  /** By another program, into a file beside it; the file itself goes. */
  compress(path: string, pack: "gz" | "zst"): void {
    const inode = this.at(path);
    const to = `${path}.${pack}`;
    if (inode === undefined || this.at(to) !== undefined) return;
    const { content } = inode;
    const packed = this.create(to);
    packed.content.isPacked = true;
    this.append(packed, pack === "gz" ? gzipSync(content.bytes) : zstdCompressSync(content.bytes));
    // gzip and zstd hand it on.
    packed.mtimeNs = inode.mtimeNs;
    this.closeWriter(packed);
    content.packedAt = to;
    this.closeWriter(inode);
    this.unlink(path);
  }

  path(name: string): string {
    return name === "" ? this.folder : join(this.folder, name);
  }

  /** Files that exist, or that somebody holds. */
  get inodes(): readonly Inode[] {
    return this.#inodes;
  }

  at(path: string): Inode | undefined {
    const target = this.links.get(path) ?? path;
    return this.#inodes.find((inode) => inode.paths.has(target));
  }

  /** When a name in a folder came or went last. */
  changedNs(folder: string): bigint {
    return this.#folderChanges.get(folder) ?? 0n;
  }

  byRealIno(ino: bigint): Inode | undefined {
    return this.#inodes.find((inode) => inode.realIno === ino);
  }

  create(path: string, lane: string = path): Inode {
    const writerFd = real.openSync(
      path,
      constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT | constants.O_EXCL,
    );
    this.#namesChanged(path);
    const nowNs = this.#nowNs();
    const inode: Omit<Inode, "content"> & { content: Content | undefined } = {
      realIno: real.fstatSync(writerFd, { bigint: true }).ino,
      ino: this.#freeIno(),
      birthNs: this.#options.hasBirthTimes ? nowNs : 0n,
      mtimeNs: nowNs,
      ctimeNs: nowNs,
      content: undefined,
      paths: new Set([path]),
      writerFd,
      agentFds: 0,
      bad: undefined,
    };
    const made = inode as Inode;
    made.content = this.#newContent(made, lane);
    this.#inodes.push(made);
    return made;
  }

  append(inode: Inode, bytes: Buffer): void {
    this.#write(inode, bytes, () => inode.content.append(bytes));
  }

  /** Another file with what is in this one. */
  copy({ content }: Inode, path: string): void {
    const copy = this.create(path);
    const bytes = Buffer.from(content.bytes);
    this.#write(copy, bytes, () => copy.content.beginLike(content, bytes.byteLength));
    copy.content.isOdd = true;
    copy.content.isCopy = true;
    this.closeWriter(copy);
  }

  /** What stays is the beginning of another content. */
  truncate(inode: Inode, length: number): void {
    const before = inode.content;
    const [path] = inode.paths;
    if (path === undefined) return;
    const fd = real.openSync(path, constants.O_WRONLY);
    real.ftruncateSync(fd, length);
    real.closeSync(fd);
    before.isCut = true;
    before.cutAt = before.size;
    inode.content = this.#newContent(inode, before.lane);
    inode.content.beginLike(before, length);
    inode.content.hasMoved = before.hasMoved;
    inode.content.isOdd = before.isOdd || length > 0;
    inode.content.isPacked = before.isPacked;
    inode.mtimeNs = this.#nowNs();
    inode.ctimeNs = inode.mtimeNs;
  }

  /** Truncates to nothing, and writes the first bytes of what was there. */
  rewriteHead(inode: Inode, length: number): void {
    const before = inode.content;
    this.truncate(inode, 0);
    const head = Buffer.from(before.bytes.subarray(0, length));
    this.#write(inode, head, () => inode.content.beginLike(before, length));
    inode.content.isOdd = true;
  }

  /** Replaces what is at `to`. */
  rename(from: string, to: string): void {
    const inode = this.at(from);
    if (inode === undefined) return;
    const replaced = this.at(to);
    if (replaced === inode) return;
    real.renameSync(from, to);
    this.#namesChanged(from, to);
    replaced?.paths.delete(to);
    inode.paths.delete(from);
    inode.paths.add(to);
    inode.content.hasMoved = true;
    inode.ctimeNs = this.#nowNs();
    if (replaced !== undefined) this.#lostName(replaced);
  }

  unlink(path: string): void {
    const inode = this.at(path);
    if (inode === undefined) return;
    real.unlinkSync(path);
    this.#namesChanged(path);
    inode.paths.delete(path);
    inode.ctimeNs = this.#nowNs();
    this.#lostName(inode);
  }

  link(from: string, to: string): void {
    const inode = this.at(from);
    if (inode === undefined) return;
    real.linkSync(from, to);
    this.#namesChanged(to);
    inode.paths.add(to);
    inode.ctimeNs = this.#nowNs();
    inode.content.isOdd = true;
  }

  /** A symbolic link that leads elsewhere from now on, without a moment in which there is none. */
  switchLink(path: string, target: string): void {
    const before = this.at(path);
    real.symlinkSync(target, `${path}.new`);
    real.renameSync(`${path}.new`, path);
    this.links.set(path, target);
    this.#namesChanged(path);
    if (before !== undefined) before.content.hasMoved = true;
  }

  /** The disk cannot read these bytes of a file from now on, whatever is written there. */
  failReads(inode: Inode, { from, to }: { readonly from: number; readonly to: number }): void {
    inode.bad = { from, to, sinceMs: inode.bad?.sinceMs ?? this.#options.wallMs() };
  }

  healReads(inode: Inode): void {
    if (inode.bad === undefined) return;
    const badMs = this.#options.wallMs() - inode.bad.sinceMs;
    inode.bad = undefined;
    // Of two contents that it had nobody knows which is in it while it cannot be read: found then, it is not held.
    const isClear = this.contents.filter((content) => content.inode === inode).length === 1;
    // Those behind it wait a minute, and have waited for that when they come to their turn; only the next try tells that it is over.
    if (isClear && badMs < ROTATE_WAIT_MAX_MS - READ_RETRY_MAX_MS) return;
    const { lane } = inode.content;
    for (const content of this.contents) if (content.lane === lane) content.isUnordered = true;
  }

  closeWriter(inode: Inode): void {
    if (inode.writerFd === undefined) return;
    real.closeSync(inode.writerFd);
    inode.writerFd = undefined;
    this.forgetGone();
  }

  /** Numbers of files that nobody can come to are free again. */
  forgetGone(): void {
    this.#inodes = this.#inodes.filter((inode) => !isGone(inode));
  }

  close(): void {
    for (const inode of this.#inodes) if (inode.writerFd !== undefined) real.closeSync(inode.writerFd);
  }

  line(content: Content, padding: number): Buffer {
    const end = padding > 0.9 ? "\r\n" : "\n";
    this.#lines += 1;
    const bytes = padding * (padding > LONG_FROM ? LONG_LINE_BYTES : SHORT_LINE_BYTES);
    return Buffer.from(`c${content.number} line ${this.#lines} ${"x".repeat(Math.floor(bytes))}${end}`);
  }

  #write(inode: Inode, bytes: Buffer, note: () => void): void {
    if (inode.writerFd === undefined) {
      const [path] = inode.paths;
      if (path === undefined) return;
      inode.writerFd = real.openSync(path, constants.O_WRONLY | constants.O_APPEND);
    }
    real.writeSync(inode.writerFd, bytes);
    note();
    if (inode.content.hasMoved) inode.content.isLate = true;
    inode.mtimeNs = this.#nowNs();
    inode.ctimeNs = inode.mtimeNs;
  }

  #namesChanged(...paths: string[]): void {
    for (const path of paths) {
      this.#changes += FINE_NS;
      this.#folderChanges.set(dirname(path), this.#changes);
    }
  }

  #newContent(inode: Inode, lane: string): Content {
    const content = new Content(this.contents.length, inode, lane);
    this.contents.push(content);
    return content;
  }

  #lostName(inode: Inode): void {
    if (inode.paths.size > 0) return;
    inode.content.hasMoved = true;
    inode.content.cutAt = inode.content.size;
    this.forgetGone();
  }

  /** The lowest that is free, as file systems do. */
  #freeIno(): bigint {
    const used = new Set(this.#inodes.map((inode) => inode.ino));
    let ino = 100n;
    while (used.has(ino)) ino += 1n;
    return ino;
  }

  #nowNs(): bigint {
    const { tickMs, wallMs } = this.#options;
    const nowMs = Math.floor(wallMs());
    if (tickMs > 0) return BigInt(Math.floor(nowMs / tickMs) * tickMs) * NS_PER_MS;
    this.#changes += FINE_NS;
    return BigInt(nowMs) * NS_PER_MS + this.#changes;
  }
}

/** Where a file is looked for besides where it was. */
export function folderOf(path: string): string {
  return dirname(path);
}
