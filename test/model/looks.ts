import type { BigIntStats, Stats } from "node:fs";
import { CodedError } from "../../base/errors.ts";
import type { Content } from "./content.ts";
import type { Facts } from "./facts.ts";
import type { Inode } from "./inode.ts";
import { type FsWatcher, real } from "./watched-fs.ts";

/** What the agent sees of files, call by call, and what happens between two of its calls. */
export class Looks implements FsWatcher {
  /** Calls so far. */
  calls = 0;
  readonly #facts: Facts;
  readonly #letGo: (content: Content) => void;
  readonly #fds = new Map<number, Inode>();
  /** Open since before the last poll. */
  #heldFds = new Set<number>();
  #amid: { calls: number; act: () => void } | undefined;

  constructor(facts: Facts, options: { readonly letGo: (content: Content) => void }) {
    this.#facts = facts;
    this.#letGo = options.letGo;
  }

  get openFiles(): number {
    return this.#fds.size;
  }

  /** `act` happens before the call after so many, unless they do not come to that. */
  interruptAfter(calls: number, act: () => void): void {
    this.#amid = { calls, act };
  }

  interruptNoMore(): void {
    this.#amid = undefined;
  }

  /** What is open now is held. */
  polled(): void {
    this.#heldFds = new Set(this.#fds.keys());
  }

  beforeCall(): void {
    this.calls += 1;
    const amid = this.#amid;
    if (amid === undefined || --amid.calls >= 0) return;
    this.#amid = undefined;
    amid.act();
  }

  looked(stats: BigIntStats | Stats, path: string | undefined): void {
    const { world, ids, knownIds } = this.#facts;
    if (path !== undefined && stats.isDirectory()) Object.assign(stats, { mtimeNs: world.changedNs(path) });
    const inode = world.byRealIno(BigInt(stats.ino));
    if (inode === undefined) return;
    const { content } = inode;
    // A file that has no id yet is being opened, and a name alone binds to nothing.
    const isKnown = path === undefined ? ids.isMintedFor(content, knownIds) : content.seen > 0;
    if (isKnown) content.seen = Math.max(content.seen, Number(stats.size));
    show(stats, inode);
  }

  opened(fd: number): void {
    const inode = this.#facts.world.byRealIno(real.fstatSync(fd, { bigint: true }).ino);
    if (inode === undefined) return;
    this.#fds.set(fd, inode);
    inode.agentFds += 1;
  }

  closes(fd: number): void {
    const inode = this.#fds.get(fd);
    if (inode === undefined) return;
    this.#fds.delete(fd);
    inode.agentFds -= 1;
    const isLetGo = this.#heldFds.delete(fd) && inode.agentFds === 0;
    if (isLetGo && !this.#facts.isEnding) this.#facts.watch(() => this.#letGo(inode.content));
    this.#facts.world.forgetGone();
  }

  readable(fd: number, position: number, bytes: number): number {
    const { bad, content } = this.#fds.get(fd) ?? {};
    if (bad === undefined || content === undefined) return bytes;
    // At the end of a file the disk is not asked.
    const isBad = position < Math.min(bad.to, content.size) && position + bytes > bad.from;
    if (!isBad) return bytes;
    if (position < bad.from) return bad.from - position;
    // What is compared are hashes of many bytes: of those before it nothing is known either.
    content.unreadFrom = 0;
    throw new CodedError("EIO", "EIO: i/o error, read");
  }

  read(fd: number, position: number, bytes: number): void {
    const { ids, knownIds } = this.#facts;
    const content = this.#fds.get(fd)?.content;
    if (content === undefined || bytes === 0) return;
    // What is held against others, to tell which of them it is, is nobody's yet.
    const isKnown = content.seen > 0 || ids.isMintedFor(content, knownIds);
    if (isKnown) content.seen = Math.max(content.seen, position + bytes);
    content.noteRead(position, position + bytes);
  }
}

/** The world's numbers in place of the kernel's. */
function show(stats: BigIntStats | Stats, inode: Inode): void {
  const { ino, birthNs, mtimeNs, ctimeNs } = inode;
  if (typeof stats.ino === "bigint") {
    Object.assign(stats, { ino, birthtimeNs: birthNs, mtimeNs, ctimeNs });
  } else {
    Object.assign(stats, {
      ino: Number(ino),
      mtimeMs: Number(mtimeNs) / 1e6,
      ctimeMs: Number(ctimeNs) / 1e6,
    });
  }
}
