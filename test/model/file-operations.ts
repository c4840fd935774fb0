import { FINGERPRINT_BYTES } from "../../logagent/source/file-hash.ts";
import type { Content } from "./content.ts";
import type { Inode } from "./inode.ts";
import { type Op, type OpKind, pick } from "./plan.ts";
import type { World } from "./world.ts";

const ROTATIONS_MAX = 4;
const MUCH_LINES = 2_000;
/** Larger files are not rewritten. */
const REWRITTEN_MAX = 5_000;
/** Of a file that cannot be read in one place. */
const BAD_BYTES = 60;
const CURRENT = "current";

type FileOperation = (world: World, op: Op) => void;

/** What programs do to their logs. Each does nothing when there is no file for it. */
export const FILE_OPERATIONS: Partial<Record<OpKind, FileOperation>> = {
  create: (world, op) => {
    const free = world.lanes.filter((path) => world.at(path) === undefined);
    if (free.length > 0) world.create(pick(free, op.a));
    else if (world.lanes.length === 0 && world.links.size === 0) switchLink(world, op);
  },
  append: (world, op) => withLive(world, op, (inode) => appendLines(world, inode, op)),
  "append part": (world, op) =>
    withLive(world, op, (inode) => {
      const line = world.line(inode.content, op.b * 0.9);
      world.append(inode, line.subarray(0, 1 + Math.floor(op.c * (line.byteLength - 1))));
    }),
  "append much": (world, op) =>
    withLive(world, op, (inode) => {
      const lines = Array.from({ length: MUCH_LINES }, () => world.line(inode.content, op.b));
      world.append(inode, Buffer.concat(lines));
    }),
  "append late": (world, op) => {
    const moved = world.inodes.filter((inode) => !live(world).includes(inode) && !inode.content.isPacked);
    if (moved.length > 0) appendLines(world, pick(moved, op.a), op);
  },
  rotate: (world, op) => withLivePath(world, op, (path) => rotate(world, path, op.b < 0.7)),
  "rotate chain": (world, op) =>
    withLivePath(world, op, (path) => {
      for (let left = 2 + Math.floor(op.b * 2); left > 0; left -= 1) {
        rotate(world, path, true);
        const inode = world.at(path);
        if (inode !== undefined && op.c < 0.8) world.append(inode, world.line(inode.content, op.c));
      }
    }),
  copytruncate: (world, op) =>
    withLivePath(world, op, (path, inode) => {
      if (inode.content.size === 0) return;
      makeRoom(world, path);
      world.copy(inode, `${path}.1`);
      if (op.b < 0.3) appendLines(world, inode, op);
      world.truncate(inode, 0);
    }),
  truncate: (world, op) => withLive(world, op, (inode) => cut(world, inode, 0)),
  shorten: (world, op) =>
    withLive(world, op, (inode) => cut(world, inode, Math.floor(op.b * inode.content.size))),
  "rewrite larger": (world, op) =>
    rewrite(world, op, (content, before) => {
      return content.size <= before.size;
    }),
  "rewrite as large": (world, op) => {
    withLive(world, op, (inode) => {
      const before = inode.content;
      if (before.size < 2 || before.size > REWRITTEN_MAX) return;
      cut(world, inode, 0);
      let bytes = Buffer.alloc(0);
      while (bytes.byteLength < before.size) bytes = Buffer.concat([bytes, world.line(inode.content, op.b)]);
      world.append(inode, Buffer.concat([bytes.subarray(0, before.size - 1), Buffer.from("\n")]));
    });
  },
  "rewrite shorter": (world, op) =>
    withLive(world, op, (inode) => {
      if (inode.content.size === 0 || inode.content.size > REWRITTEN_MAX) return;
      cut(world, inode, 0);
      world.append(inode, world.line(inode.content, op.b).subarray(0, 1 + Math.floor(op.c * 20)));
    }),
  "rewrite same head": (world, op) =>
    withLive(world, op, (inode) => {
      const before = inode.content;
      if (before.size === 0 || before.size > REWRITTEN_MAX) return;
      world.rewriteHead(inode, Math.ceil(op.b * before.size));
      const lines = Math.floor(op.c * 5);
      for (let left = lines; left > 0; left -= 1) world.append(inode, world.line(inode.content, op.c));
    }),
  delete: (world, op) => withLivePath(world, op, (path, inode) => remove(world, path, inode, op.b < 0.5)),
  "delete and create": (world, op) =>
    withLivePath(world, op, (path, inode) => {
      remove(world, path, inode, op.b < 0.8);
      if (world.links.has(path)) return;
      const next = world.create(path);
      if (op.c < 0.7) appendLines(world, next, op);
    }),
  link: (world, op) =>
    withLivePath(world, op, (path) => {
      const to = pick([...world.lanes, world.path("linked.log"), world.path("linked")], op.b);
      if (world.at(to) === undefined && !world.links.has(path)) world.link(path, to);
    }),
  unlink: (world, op) => {
    const linked = world.inodes.filter((inode) => inode.paths.size > 1);
    if (linked.length > 0) world.unlink(pick([...pick(linked, op.a).paths], op.b));
  },
  "move away": (world, op) =>
    withLivePath(world, op, (path, inode) => {
      if (world.links.has(path)) return;
      inode.content.isOdd = true;
      world.rename(path, world.path(op.b < 0.5 ? `old/${inode.ino}` : `away-${inode.ino}`));
    }),
  "move back": (world, op) => {
    const unpacked = world.inodes.filter(({ content }) => !content.isPacked);
    const away = unpacked.flatMap(({ paths }) => [...paths].filter((path) => !world.lanes.includes(path)));
    const free = world.lanes.filter((path) => world.at(path) === undefined);
    if (away.length === 0 || free.length === 0) return;
    const from = pick(away, op.a);
    const inode = world.at(from);
    if (inode !== undefined) inode.content.isOdd = true;
    world.rename(from, pick(free, op.b));
  },
  compress: (world, op) => {
    const rotated = world.inodes.filter(
      ({ paths, content }) =>
        !content.isPacked && paths.size === 1 && [...paths].every((path) => /\.\d$/.test(path)),
    );
    if (rotated.length === 0) return;
    const [path] = pick(rotated, op.a).paths;
    if (path !== undefined) world.compress(path, op.b < 0.5 ? "gz" : "zst");
  },
  "fail reads": (world, op) => {
    const inodes = world.inodes.filter(({ content }) => !content.isPacked);
    if (inodes.length === 0) return;
    const inode = pick(inodes, op.a);
    const at = Math.floor(op.b * inode.content.size);
    // What a file is known by is within its first page.
    const from = at < FINGERPRINT_BYTES ? 0 : at;
    world.failReads(inode, {
      from,
      to: op.c < 0.5 ? Number.POSITIVE_INFINITY : Math.max(from, FINGERPRINT_BYTES) + BAD_BYTES,
    });
  },
  "heal reads": (world, op) => {
    const bad = world.inodes.filter((inode) => inode.bad !== undefined);
    if (bad.length > 0) world.healReads(pick(bad, op.a));
  },
  "switch link": (world, op) => {
    if (world.lanes.length === 0) switchLink(world, op);
  },
};

function switchLink(world: World, op: Op): void {
  const link = world.path(CURRENT);
  const path = world.path(`app/${world.contents.length}.txt`);
  const next = world.create(path, link);
  if (op.b < 0.6) appendLines(world, next, op);
  world.switchLink(link, path);
}

function live(world: World): readonly Inode[] {
  return [...new Set(livePaths(world).map(({ inode }) => inode))];
}

function livePaths(world: World): readonly { readonly path: string; readonly inode: Inode }[] {
  return [...world.lanes, world.path(CURRENT)].flatMap((path) => {
    const inode = world.at(path);
    return inode === undefined ? [] : [{ path, inode }];
  });
}

function withLive(world: World, op: Op, act: (inode: Inode) => void): void {
  withLivePath(world, op, (_, inode) => act(inode));
}

function withLivePath(world: World, op: Op, act: (path: string, inode: Inode) => void): void {
  const paths = livePaths(world);
  if (paths.length === 0) return;
  const { path, inode } = pick(paths, op.a);
  act(path, inode);
}

function appendLines(world: World, inode: Inode, op: Op): void {
  for (let left = 1 + Math.floor(op.b * 4); left > 0; left -= 1) {
    world.append(inode, world.line(inode.content, op.c));
  }
}

function cut(world: World, inode: Inode, length: number): void {
  if (inode.content.size > length) world.truncate(inode, length);
}

function rewrite(world: World, op: Op, goesOn: (content: Content, before: Content) => boolean): void {
  withLive(world, op, (inode) => {
    const before = inode.content;
    if (before.size === 0 || before.size > REWRITTEN_MAX) return;
    cut(world, inode, 0);
    while (goesOn(inode.content, before)) world.append(inode, world.line(inode.content, op.b));
  });
}

/** name → name.1 → name.2 … */
function rotate(world: World, path: string, createsNext: boolean): void {
  if (world.links.has(path) || world.at(path) === undefined) return;
  makeRoom(world, path);
  world.rename(path, `${path}.1`);
  if (createsNext) world.create(path);
}

function makeRoom(world: World, path: string): void {
  const oldest = `${path}.${ROTATIONS_MAX}`;
  const dropped = world.at(oldest);
  if (dropped !== undefined) remove(world, oldest, dropped, true);
  for (let i = ROTATIONS_MAX - 1; i >= 1; i -= 1) {
    if (world.at(`${path}.${i}`) !== undefined) world.rename(`${path}.${i}`, `${path}.${i + 1}`);
  }
}

function remove(world: World, path: string, inode: Inode, closes: boolean): void {
  const target = world.links.get(path) ?? path;
  if (closes) world.closeWriter(inode);
  world.unlink(target);
}
