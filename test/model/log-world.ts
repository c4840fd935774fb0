import {
  closeSync,
  existsSync,
  fstatSync,
  openSync,
  renameSync,
  truncateSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from "node:fs";

import { join } from "node:path";
import type { Random } from "../../base/random.ts";

/** What a file held between its birth or a truncation and the next one. */
export interface Content {
  readonly number: number;
  /** Paths in whose turns it is: where it was born. */
  readonly lane: string;
  bytes: Buffer;
  /** The most that the agent has seen of it at a look. */
  seen: number;
  /** No longer in any file: truncated away. */
  isCut: boolean;
  isDeleted: boolean;
  /** It was renamed or deleted before the agent had opened it. */
  missed: boolean;
  /** Something was appended after it left its path. */
  isLate: boolean;
  hasMoved: boolean;
}

interface Inode {
  content: Content;
  fd: number;
  path: string | undefined;
}

const ROTATIONS_MAX = 4;

/** Log files as programs treat them, and every byte that ever was in them. */
export class LogWorld {
  readonly contents: Content[] = [];
  readonly #folder: string;
  readonly #random: Random;
  readonly #names: readonly string[];
  /** Files that exist, or are deleted and still written by somebody. */
  readonly #inodes: Inode[] = [];
  /** Also of files that no writer has open any more. */
  readonly #contentOfInode = new Map<bigint, Content>();
  #lines = 0;
  #mtimeSeconds = 1_700_000_000;

  constructor(folder: string, names: readonly string[], random: Random) {
    this.#folder = folder;
    this.#names = names;
    this.#random = random;
  }

  pick<T>(items: readonly T[]): T | undefined {
    return items[Math.floor(this.#random.next() * items.length)];
  }

  /** A file that is at one of the names. */
  get live(): readonly Inode[] {
    return this.#inodes.filter((inode) => this.#names.some((name) => inode.path === this.path(name)));
  }

  get moved(): readonly Inode[] {
    return this.#inodes.filter((inode) => !this.live.includes(inode));
  }

  path(name: string): string {
    return join(this.#folder, name);
  }

  /** The content of the file with this inode number now. */
  contentOf(ino: bigint): Content | undefined {
    return this.#contentOfInode.get(ino);
  }

  create(): void {
    const free = this.#names.map((name) => this.path(name)).filter((path) => !existsSync(path));
    const path = this.pick(free);
    if (path === undefined) return;
    writeFileSync(path, "");
    const fd = openSync(path, "a");
    this.#inodes.push({ content: this.#newContent(path, fstatSync(fd, { bigint: true }).ino), fd, path });
  }

  append(inode: Inode | undefined): void {
    if (inode === undefined) return;
    const big = this.#random.next() < 0.03;
    let text = "";
    for (let i = big ? 2000 : 1 + this.#random.next() * 4; i > 0; i--) text += this.#line(inode.content);
    this.#write(inode, text);
  }

  appendPart(inode: Inode | undefined): void {
    if (inode === undefined) return;
    const line = this.#line(inode.content);
    this.#write(inode, line.slice(0, 1 + Math.floor(this.#random.next() * (line.length - 1))));
  }

  truncate(): void {
    const inode = this.pick(this.live);
    if (inode !== undefined && inode.content.bytes.byteLength > 0) this.#cut(inode);
  }

  /** Truncates and writes more than there was, before anybody can look. */
  rewriteLarger(): void {
    const inode = this.pick(this.live);
    const before = inode?.content.bytes.byteLength ?? 0;
    if (inode === undefined || before === 0 || before > 5000) return;
    this.#cut(inode);
    while (inode.content.bytes.byteLength <= before) this.#write(inode, this.#line(inode.content));
  }

  /** name → name.1 → name.2 …; `isHeld` says whether the agent has the file open. */
  rotate(isHeld: (ino: bigint) => boolean): void {
    const inode = this.pick(this.live);
    if (inode?.path === undefined) return;
    const { path } = inode;
    const oldest = `${path}.${ROTATIONS_MAX}`;
    const dropped = this.#inodes.find((other) => other.path === oldest);
    if (dropped !== undefined) this.#delete(dropped, isHeld);
    for (let i = ROTATIONS_MAX - 1; i >= 0; i--) {
      const from = i === 0 ? path : `${path}.${i}`;
      const other = this.#inodes.find((one) => one.path === from);
      if (other === undefined) continue;
      if (!isHeld(this.#inoOf(other))) other.content.missed = true;
      renameSync(from, `${path}.${i + 1}`);
      other.path = `${path}.${i + 1}`;
      other.content.hasMoved = true;
    }
  }

  delete(isHeld: (ino: bigint) => boolean): void {
    const inode = this.pick(this.live);
    if (inode !== undefined) this.#delete(inode, isHeld);
  }

  /** The agent died: nobody but a writer holds deleted files. */
  agentDied(): void {
    for (const content of this.contents) if (content.isDeleted) content.missed = true;
  }

  close(): void {
    for (const inode of this.#inodes) closeSync(inode.fd);
  }

  #cut(inode: Inode): void {
    if (inode.path === undefined) return;
    truncateSync(inode.path, 0);
    inode.content.isCut = true;
    inode.content = this.#newContent(inode.content.lane, this.#inoOf(inode));
    this.#touch(inode.path);
  }

  #delete(inode: Inode, isHeld: (ino: bigint) => boolean): void {
    if (inode.path === undefined) return;
    if (!isHeld(this.#inoOf(inode))) inode.content.missed = true;
    unlinkSync(inode.path);
    inode.path = undefined;
    inode.content.isDeleted = true;
    inode.content.hasMoved = true;
    if (this.#random.next() < 0.5) return;
    // The writer closes it too: the inode is free as soon as the agent lets go.
    closeSync(inode.fd);
    this.#inodes.splice(this.#inodes.indexOf(inode), 1);
  }

  #inoOf(inode: Inode): bigint {
    return fstatSync(inode.fd, { bigint: true }).ino;
  }

  #newContent(lane: string, ino: bigint): Content {
    const content: Content = {
      number: this.contents.length,
      lane,
      bytes: Buffer.alloc(0),
      seen: 0,
      isCut: false,
      isDeleted: false,
      missed: false,
      isLate: false,
      hasMoved: false,
    };
    this.contents.push(content);
    this.#contentOfInode.set(ino, content);
    return content;
  }

  #line(content: Content): string {
    const padding = "x".repeat(Math.floor(this.#random.next() * 40));
    const end = this.#random.next() < 0.1 ? "\r\n" : "\n";
    return `c${content.number} line ${this.#lines++} ${padding}${end}`;
  }

  #write(inode: Inode, text: string): void {
    writeSync(inode.fd, text);
    inode.content.bytes = Buffer.concat([inode.content.bytes, Buffer.from(text)]);
    if (inode.content.hasMoved) inode.content.isLate = true;
  }

  /** The kernel's clock may not have ticked since the last look; a real writer gives it the time. */
  #touch(path: string): void {
    this.#mtimeSeconds += 1;
    utimesSync(path, this.#mtimeSeconds, this.#mtimeSeconds);
  }
}
