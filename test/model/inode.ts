import type { Content } from "./content.ts";

/** A file as the world knows it. Its number and its times are the world's: the agent is shown them in place of the kernel's. */
export interface Inode {
  readonly realIno: bigint;
  readonly ino: bigint;
  readonly birthNs: bigint;
  mtimeNs: bigint;
  ctimeNs: bigint;
  content: Content;
  readonly paths: Set<string>;
  /** Of the program that writes it; undefined: closed. */
  writerFd: number | undefined;
  /** Of the agent. */
  agentFds: number;
  /** Bytes that the disk cannot read now. */
  bad: BadRange | undefined;
}

export interface BadRange {
  readonly from: number;
  readonly to: number;
  readonly sinceMs: number;
}

/** Nobody can come to it any more, and its number is free. */
export function isGone({ paths, writerFd, agentFds }: Inode): boolean {
  return paths.size === 0 && writerFd === undefined && agentFds === 0;
}
