import assert from "node:assert/strict";
import { appendFileSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { suite, test } from "node:test";
import { PRUNE_INTERVAL_MS, RECORD_KEEP_MS } from "../../logagent/checkpoint/long-gone.ts";
import { NO_BYTES } from "../../logagent/checkpoint/record.ts";
import { MOUNTS_AGE_MAX_MS, MountTable } from "../../logagent/source/mount-table.ts";
import { watchFs } from "../model/watched-fs.ts";
import { ManualClock } from "../support/manual-clock.ts";
import { SourceBed } from "../support/source-bed.ts";

const ROOT = "27 0 259:3 / / rw,relatime shared:1 - ext4 /dev/sda1 rw";
const row = (at: string, type: string): string => `40 27 0:44 / ${at} rw - ${type} somewhere rw`;

/** Mounts as the kernel lists them; they may change. */
class Mounts {
  readonly clock = new ManualClock();
  rows: string[] = [];

  table(options: { readonly allowsNetwork?: boolean } = {}): MountTable {
    return new MountTable({ ...options, clock: this.clock, read: () => [ROOT, ...this.rows, ""].join("\n") });
  }
}

suite("MountTable", () => {
  const why = (type: string, at = "/mnt/logs") =>
    `it is on a network mount (${type} at ${at}), which may hang and hold up all files, ` +
    "expected a file of this machine, or networkMounts: true in the agent's config";

  for (const type of [
    "nfs",
    "nfs4",
    "cifs",
    "ceph",
    "glusterfs",
    "fuse.sshfs",
    "fuse.s3fs",
    "fuse",
    "autofs",
  ]) {
    test(`refuses ${type}, unless networks are allowed`, () => {
      const mounts = new Mounts();
      mounts.rows = [row("/mnt/logs", type)];
      assert.deepEqual(mounts.table().refusal("/mnt/logs/app/a.log"), { kind: "network", why: why(type) });
      assert.equal(mounts.table().refusal("/mnt/logs")?.kind, "network");
      assert.equal(mounts.table().refusal("/mnt/logs2/a.log"), undefined);
      assert.equal(mounts.table({ allowsNetwork: true }).refusal("/mnt/logs/a.log"), undefined);
    });
  }

  for (const type of [
    "ext4",
    "xfs",
    "btrfs",
    "zfs",
    "tmpfs",
    "overlay",
    "vfat",
    "fuseblk",
    "fuse.mergerfs",
  ]) {
    test(`takes ${type}`, () => {
      const mounts = new Mounts();
      mounts.rows = [row("/mnt/logs", type)];
      assert.equal(mounts.table().refusal("/mnt/logs/a.log"), undefined);
    });
  }

  test("goes by the innermost mount, and by the topmost of several at one place", () => {
    const mounts = new Mounts();
    mounts.rows = [
      row("/mnt", "nfs4"),
      row("/mnt/local", "ext4"),
      row("/auto", "autofs"),
      row("/auto", "xfs"),
    ];
    const table = mounts.table();
    assert.equal(table.refusal("/mnt/a.log")?.kind, "network");
    assert.equal(table.refusal("/mnt/local/a.log"), undefined);
    assert.equal(table.refusal("/auto/a.log"), undefined);
  });

  test("reads names with spaces, and what is mounted later", () => {
    const mounts = new Mounts();
    const table = mounts.table();
    assert.equal(table.refusal("/mnt/my logs/a.log"), undefined);
    mounts.rows = [row("/mnt/my\\040logs", "nfs4")];
    mounts.clock.advance(MOUNTS_AGE_MAX_MS);
    assert.equal(table.refusal("/mnt/my logs/a.log")?.kind, "network");
    mounts.rows = [];
    mounts.clock.advance(MOUNTS_AGE_MAX_MS);
    assert.equal(table.refusal("/mnt/my logs/a.log"), undefined);
  });

  test("refuses none where the list says nothing", () => {
    const read = () => "what is this\n - \n1 2 3\n";
    assert.equal(new MountTable({ read }).refusal("/mnt/a.log"), undefined);
  });

  test("knows this machine's own /proc and /sys", () => {
    const table = new MountTable();
    assert.equal(table.refusal("/proc/kmsg")?.kind, "kernel");
    assert.equal(table.refusal("/sys/kernel/mm")?.kind, "kernel");
    assert.equal(table.refusal(import.meta.filename), undefined);
  });
});

suite("TailSource and mounts", () => {
  async function openBed(allowsNetwork = false): Promise<{ bed: SourceBed; mounts: Mounts }> {
    const mounts = new Mounts();
    const bed = await SourceBed.open({ mounts: mounts.table({ allowsNetwork }), allow: ["/**"] });
    mkdirSync(bed.path("nfs"));
    writeFileSync(bed.path("nfs/far.log"), "far\n");
    writeFileSync(bed.path("near.log"), "near\n");
    mounts.rows = [row(bed.path("nfs"), "nfs4")];
    return { bed, mounts };
  }

  /** The paths below a folder that are touched by name. */
  function touched(folder: string): string[] {
    const paths: string[] = [];
    watchFs({
      looked: (_stats, path) => {
        if (path?.startsWith(folder)) paths.push(path);
      },
    });
    return paths;
  }

  for (const [what, pattern, refused] of [
    ["a pattern that leads into one", "**/*.log", "nfs"],
    ["a folder that is one", "{nfs/*,near}.log", "nfs"],
    ["a path in one", "{nfs/far,near}.log", "nfs/far.log"],
    ["a link to a file in one", "{link,near}.log", "link.log"],
    ["a link to a folder in one", "{folder/*,near}.log", "folder"],
    ["a link to a folder, met on the way", "{*/far,near}.log", "nfs"],
    ["a link to a file in one, by a literal name in any folder", "{*/app,near}.log", "app/app.log"],
    ["a link to a file in one, by a literal name at any depth", "{**/app,near}.log", "app/app.log"],
  ] as const) {
    test(`never touches ${what}, says so, and ships the rest`, async () => {
      const { bed } = await openBed();
      await using _ = bed;
      symlinkSync(bed.path("nfs/far.log"), bed.path("link.log"));
      symlinkSync("nfs", bed.path("folder"));
      mkdirSync(bed.path("app"));
      symlinkSync(bed.path("nfs/far.log"), bed.path("app/app.log"));
      const paths = touched(bed.path("nfs"));
      try {
        const running = bed.start({ path: bed.path(pattern) });
        await bed.run(running, 3_000);
        assert.deepEqual(bed.sink.lines(), ["near"]);
        const problems = running.context.problems.list();
        const why = `it is on a network mount (nfs4 at ${bed.path("nfs")}), which may hang`;
        assert.ok(
          problems.some((problem) => problem.startsWith(`Cannot read ${bed.path(refused)}: ${why}`)),
          problems.join("\n"),
        );
        assert.deepEqual(paths, []);
        await bed.stop(running);
      } finally {
        watchFs(undefined);
      }
    });
  }

  test("never touches a single file that a network mount is at, says so, and ships the rest", async () => {
    const mounts = new Mounts();
    await using bed = await SourceBed.open({ mounts: mounts.table() });
    writeFileSync(bed.path("far.log"), "far\n");
    writeFileSync(bed.path("near.log"), "near\n");
    mounts.rows = [row(bed.path("far.log"), "nfs4")];
    const paths = touched(bed.path("far.log"));
    try {
      const running = bed.start({ path: bed.path("*.log") });
      await bed.run(running, 3_000);
      assert.deepEqual(bed.sink.lines(), ["near"]);
      const [problem = ""] = running.context.problems.list();
      assert.ok(problem.startsWith(`Cannot read ${bed.path("far.log")}: it is on a network mount`), problem);
      assert.deepEqual(paths, []);
      await bed.stop(running);
    } finally {
      watchFs(undefined);
    }
  });

  for (const [what, target] of [
    ["looks behind a link into one when it looks for files long gone", "link.log"],
    ["looks into one for files long gone", "nfs/gone.log"],
  ] as const) {
    test(`never ${what}`, async () => {
      const { bed } = await openBed();
      await using _ = bed;
      symlinkSync(bed.path("nfs/far.log"), bed.path("link.log"));
      bed.checkpoints.mint({
        ...{ dev: 1n, ino: 7n, birthtimeNs: 7n, path: bed.path(target), entry: "e", topic: "t" },
        ...{ fingerprint: NO_BYTES, offset: 0, tail: NO_BYTES, seen: 0, seenAtMs: bed.clock.wallMs() },
      });
      await bed.checkpoints.persisted();
      bed.clock.advance(RECORD_KEEP_MS + PRUNE_INTERVAL_MS);
      const paths = touched(bed.folder);
      try {
        bed.checkpoints.touch();
        await bed.checkpoints.persisted();
      } finally {
        watchFs(undefined);
      }
      assert.ok(!paths.includes(bed.path("link.log")), "the link was looked behind");
      assert.ok(!paths.includes(bed.path("nfs")), "the mount was looked into");
      // Of what may not be looked at nobody knows whether it is gone.
      assert.equal([...bed.checkpoints.records()].length, target === "link.log" ? 0 : 1);
    });
  }

  test("ships what is on a network mount when that is allowed", async () => {
    const { bed } = await openBed(true);
    await using _ = bed;
    const running = bed.start({ path: bed.path("**/*.log") });
    await bed.step(running);
    assert.deepEqual(bed.sink.lines().sort(), ["far", "near"]);
    assert.deepEqual(running.context.problems.list(), []);
    await bed.stop(running);
  });

  test("refuses an open file by where the kernel says it is", async () => {
    const { bed, mounts } = await openBed();
    await using _ = bed;
    // The link is looked behind before the mount is there, and opened after that.
    mounts.rows = [];
    symlinkSync(bed.path("nfs/far.log"), bed.path("link.log"));
    const running = bed.start({ path: bed.path("link.log") });
    watchFs({
      looked: (_stats, path) => {
        if (path !== bed.path("link.log")) return;
        mounts.rows = [row(bed.path("nfs"), "nfs4")];
        mounts.clock.advance(MOUNTS_AGE_MAX_MS);
      },
      read: () => assert.fail("nothing is read"),
    });
    try {
      await bed.step(running);
    } finally {
      watchFs(undefined);
    }
    const [problem = ""] = running.context.problems.list();
    assert.ok(
      problem.startsWith(
        `Cannot read ${bed.path("link.log")} (it leads to ${bed.path("nfs/far.log")}): it is on a network mount`,
      ),
      problem,
    );
    await bed.stop(running);
  });

  for (const path of [
    "/proc/kmsg",
    "/proc/self/status",
    "/sys/kernel/mm/transparent_hugepage/enabled",
    "/proc/*",
  ]) {
    test(`says that the kernel makes up ${path}, and goes on`, async () => {
      await using bed = await SourceBed.open({ allow: ["/**"] });
      writeFileSync(bed.path("a.log"), "a\n");
      const running = bed.start({ path });
      const other = bed.start({ path: bed.path("a.log") });
      await bed.step(running);
      await bed.step(other);
      const at = path.split("/")[1];
      const subject = path.replace("/*", "");
      const type = at === "proc" ? "proc" : "sysfs";
      assert.deepEqual(running.context.problems.list(), [
        `Cannot read ${subject}: the kernel makes it up (${type} at /${at}), expected a file that is stored`,
      ]);
      assert.equal(running.source.openFiles, 0);
      appendFileSync(bed.path("a.log"), "b\n");
      await bed.step(other, 1_000);
      assert.deepEqual(bed.sink.lines(), ["a", "b"]);
      await bed.stop(running);
      await bed.stop(other);
    });
  }

  test("passes by what the kernel makes up where a pattern leads there as well", async () => {
    const mounts = new Mounts();
    await using bed = await SourceBed.open({ mounts: mounts.table() });
    mkdirSync(bed.path("proc"));
    writeFileSync(bed.path("proc/a.log"), "made up\n");
    writeFileSync(bed.path("b.log"), "b\n");
    mounts.rows = [row(bed.path("proc"), "proc")];
    const running = bed.start({ path: bed.path("**/*.log") });
    await bed.step(running);
    assert.deepEqual(bed.sink.lines(), ["b"]);
    assert.deepEqual(running.context.problems.list(), []);
    await bed.stop(running);
  });
});
