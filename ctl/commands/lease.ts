import type { Command } from "commander";
import { systemClock } from "../../base/clock.ts";
import { ClientError } from "../../store/client/client-error.ts";
import { leaseHex } from "../format/format.ts";
import { parseCount } from "../go-text.ts";
import { parseLeaseId } from "../lease-id.ts";
import type { Session } from "../session.ts";
import { CommandFailed, UsageError } from "../usage-error.ts";

/** `lease grant | revoke | timetolive | list | keep-alive` */
export function addLease(program: Command, session: Session): void {
  const lease = program.command("lease").description("Lease related commands");
  addGrant(lease, session);
  addRevoke(lease, session);
  addTimeToLive(lease, session);
  addKeepAlive(lease, session);
  lease
    .command("list")
    .description("Lists all active leases")
    .action(async () => {
      const write = session.writer("leases");
      write(await (await session.client()).leases({ signal: session.signal }));
    });
}

function addGrant(lease: Command, session: Session): void {
  const command = lease.command("grant").description("Creates leases").argument("[ttl]", "seconds");
  command.action(async (text: string | undefined) => {
    if (text === undefined) throw new UsageError("lease grant command needs TTL argument");
    const ttlSeconds = (() => {
      try {
        return parseCount(text);
      } catch (error) {
        throw error instanceof UsageError ? new UsageError(`bad TTL (${error.message})`) : error;
      }
    })();
    const write = session.writer("grant");
    const client = await session.client();
    write(await inWords("grant", () => client.leaseGrant(ttlSeconds, { signal: session.signal })));
  });
}

function addRevoke(lease: Command, session: Session): void {
  const command = lease.command("revoke").description("Revokes leases").argument("[leaseID]");
  command.action(async (text: string | undefined) => {
    if (text === undefined) throw new UsageError("lease revoke command needs 1 argument");
    const id = parseLeaseId(text, "bad lease ID arg");
    const write = session.writer("revoke");
    const client = await session.client();
    write(id, await inWords("revoke", () => client.leaseRevoke(id, { signal: session.signal })));
  });
}

function addTimeToLive(lease: Command, session: Session): void {
  const command = lease
    .command("timetolive")
    .description("Gets lease information")
    .argument("[leaseID]")
    .option("--keys", "with the keys attached to it", false);
  command.action(async (text: string | undefined) => {
    if (text === undefined) throw new UsageError("lease timetolive command needs lease ID as argument");
    const id = parseLeaseId(text, "bad lease ID arg");
    const { keys } = command.opts<{ readonly keys: boolean }>();
    const write = session.writer("timeToLive");
    const client = await session.client();
    write(await client.leaseTimeToLive(id, { keys, signal: session.signal }), { keys });
  });
}

function addKeepAlive(lease: Command, session: Session): void {
  const command = lease
    .command("keep-alive")
    .description("Keeps leases alive (renew)")
    .argument("[leaseID]")
    .option("--once", "renew once and end", false);
  command.action(async (text: string | undefined) => {
    if (text === undefined) throw new UsageError("lease keep-alive command needs lease ID as argument");
    const id = parseLeaseId(text, "bad lease ID arg");
    const { once } = command.opts<{ readonly once: boolean }>();
    await keepAlive(session, { id, once });
  });
}

/** Renews every TTL/3 until the lease is gone or the command is interrupted. */
async function keepAlive(
  session: Session,
  { id, once }: { readonly id: bigint; readonly once: boolean },
): Promise<void> {
  const write = session.writer("keepAlive");
  const client = await session.client();
  for (;;) {
    const renewed = await client.leaseKeepAlive(id, { signal: session.signal });
    if (renewed.ttlSeconds <= 0) break;
    write(renewed);
    if (once) return;
    await systemClock.sleep((renewed.ttlSeconds * 1000) / 3, { signal: session.signal });
  }
  if (once) throw new CommandFailed("etcdserver: requested lease not found");
  if (session.formatName === "simple") session.io.out(`lease ${leaseHex(id)} expired or revoked.\n`);
}

/** etcdctl puts its own words around the store's for these two. */
async function inWords<Result>(verb: "grant" | "revoke", act: () => Promise<Result>): Promise<Result> {
  try {
    return await act();
  } catch (error) {
    if (!(error instanceof ClientError) || error.code === "Unreachable") throw error;
    throw new CommandFailed(`failed to ${verb} lease (${error.detail})`);
  }
}
