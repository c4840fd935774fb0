import { lstatSync, readFileSync, readlinkSync } from "node:fs";
import { dirname, join } from "node:path";
import { type Clock, systemClock } from "../../base/clock.ts";

/** How old the list of mounts may be. */
export const MOUNTS_AGE_MAX_MS = 1_000;
/** Links that a path may lead through, as for the kernel. */
const LINKS_MAX = 40;

/** Behind each of them is a machine, or a program, that may not answer. `autofs`: who looks mounts whatever it is. */
const NETWORK_TYPES =
  /^(nfs|nfs4|cifs|smb3|smbfs|afs|autofs|beegfs|ceph|coda|davfs|gpfs|glusterfs|lustre|ncpfs|orangefs|panfs|fuse|fuse\..+)$/;
/** Programs of this machine that serve its own disks, or hand through what is stored on them. */
const LOCAL_FUSE_TYPES = /^fuse\.(bindfs|encfs|gocryptfs|lxcfs|mergerfs|ntfs-3g|overlayfs|fuse-overlayfs)$/;
/** The kernel writes their files when they are read: without a size, without an end, or waiting for news. */
const KERNEL_TYPES =
  /^(binfmt_misc|bpf|cgroup2?|configfs|debugfs|devpts|efivarfs|fusectl|mqueue|nsfs|proc|pstore|rpc_pipefs|securityfs|selinuxfs|sysfs|tracefs)$/;

/** Why nothing is read at a path. */
export interface MountRefusal {
  readonly kind: "network" | "kernel";
  /** What the path is, and what was expected: "Cannot read <path>: " stands before it. */
  readonly why: string;
}

/**
 * Which paths are on file systems that must not be touched, or have nothing to ship. Asked of the kernel's list of mounts, not of
 * the mounts themselves: one that hangs would hold whoever asks.
 */
export class MountTable {
  readonly #clock: Pick<Clock, "monotonicMs">;
  readonly #allowsNetwork: boolean;
  readonly #read: () => string;
  #text = "";
  #typeAt: ReadonlyMap<string, string> = new Map();
  #hasNetwork = false;
  #readAtMs = Number.NEGATIVE_INFINITY;

  constructor(
    options: {
      readonly clock?: Pick<Clock, "monotonicMs">;
      readonly allowsNetwork?: boolean;
      /** In the format of `/proc/self/mountinfo`. */
      readonly read?: () => string;
    } = {},
  ) {
    this.#clock = options.clock ?? systemClock;
    this.#allowsNetwork = options.allowsNetwork ?? false;
    this.#read = options.read ?? readMountInfo;
  }

  /** About the path of an open file, as the kernel gives it. */
  refusal(path: string): MountRefusal | undefined {
    this.#refresh();
    for (let at = path; ; at = dirname(at)) {
      const type = this.#typeAt.get(at);
      if (type !== undefined) return this.#refusalOf(type, at);
      if (at === "/") return undefined;
    }
  }

  /** About a path that is no link, in a folder about which nothing was refused: something may be mounted right there. */
  refusalAt(path: string): MountRefusal | undefined {
    this.#refresh();
    const type = this.#typeAt.get(path);
    return type === undefined ? undefined : this.#refusalOf(type, path);
  }

  /** About any other: links in it are followed, one by one, and none of them into a mount that is refused. */
  refusalBehind(path: string): MountRefusal | undefined {
    const asItIs = this.refusal(path);
    if (asItIs !== undefined || !this.#hasNetwork || this.#allowsNetwork) return asItIs;
    let at = "/";
    let links = 0;
    for (let rest = namesOf(path); rest.length > 0; ) {
      const [name = "", ...others] = rest;
      const next = join(at, name);
      const refused = this.refusal(next);
      if (refused !== undefined) return refused;
      const target = targetOf(next);
      if (target !== undefined && ++links > LINKS_MAX) return undefined;
      rest = target === undefined ? others : [...namesOf(target), ...others];
      if (target === undefined) at = next;
      else if (target.startsWith("/")) at = "/";
    }
    return undefined;
  }

  #refusalOf(type: string, at: string): MountRefusal | undefined {
    if (KERNEL_TYPES.test(type)) {
      return {
        kind: "kernel",
        why: `the kernel makes it up (${type} at ${at}), expected a file that is stored`,
      };
    }
    if (this.#allowsNetwork || !isNetwork(type)) return undefined;
    return {
      kind: "network",
      why:
        `it is on a network mount (${type} at ${at}), which may hang and hold up all files, ` +
        "expected a file of this machine, or networkMounts: true in the agent's config",
    };
  }

  #refresh(): void {
    const nowMs = this.#clock.monotonicMs();
    if (nowMs - this.#readAtMs < MOUNTS_AGE_MAX_MS) return;
    this.#readAtMs = nowMs;
    const text = this.#read();
    if (text === this.#text) return;
    this.#text = text;
    this.#typeAt = typesByMountPoint(text);
    this.#hasNetwork = [...this.#typeAt.values()].some(isNetwork);
  }
}

function isNetwork(type: string): boolean {
  return NETWORK_TYPES.test(type) && !LOCAL_FUSE_TYPES.test(type);
}

/** Empty where the kernel has no such list: then nothing is known of mounts, and none is refused. */
function readMountInfo(): string {
  try {
    return readFileSync("/proc/self/mountinfo", "utf8");
  } catch {
    return "";
  }
}

/** proc(5): `36 35 98:0 /from /mount/point options … - type source options`. Of several at one place the last is on top. */
function typesByMountPoint(text: string): ReadonlyMap<string, string> {
  const types = new Map<string, string>();
  for (const line of text.split("\n")) {
    const [before = "", behind = ""] = line.split(" - ");
    const at = before.split(" ")[4];
    const [type] = behind.split(" ");
    if (at !== undefined && type !== undefined && type !== "") types.set(unescaped(at), type);
  }
  return types;
}

/** Space, tab, newline and backslash are in octal there. */
function unescaped(path: string): string {
  return path.replace(/\\([0-7]{3})/g, (_, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 8)),
  );
}

function namesOf(path: string): readonly string[] {
  return path.split("/").filter((name) => name !== "");
}

/** What a link leads to; undefined: it is none, or nothing can be told of it. */
function targetOf(path: string): string | undefined {
  try {
    return lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() ? readlinkSync(path) : undefined;
  } catch {
    // It may not be looked at, or is gone: who opens it is told.
    return undefined;
  }
}
