import type { KeyValue } from "../../store/client/types.ts";
import { formatDuration, goQuote } from "../go-text.ts";
import { agentRows } from "./agent-rows.ts";
import { type Format, type FormatOptions, leaseHex } from "./format.ts";
import { hashRows, memberRows, type Rows, statusRows } from "./rows.ts";
import { drawTable } from "./table.ts";
import { writeResponse } from "./txn-responses.ts";

/** `simple`, for people and for scripts: keys and values as the bytes they are. */
export function simpleFormat(options: FormatOptions & { readonly err: (text: string) => void }): Format {
  const { out } = options;
  const keyValue = (kv: KeyValue, valueOnly = false) => {
    if (!valueOnly) writeLine(options, kv.key);
    writeLine(options, kv.value);
  };
  const rows = (table: Rows) => {
    for (const row of table.rows) out(`${row.join(", ")}\n`);
  };
  const format: Format = {
    get: (result, { valueOnly }) => {
      for (const kv of result.kvs) keyValue(kv, valueOnly);
    },
    put: (result) => {
      out("OK\n");
      if (result.prevKv !== undefined) keyValue(result.prevKv);
    },
    del: (result) => {
      out(`${result.deleted}\n`);
      for (const kv of result.prevKvs) keyValue(kv);
    },
    txn: (result) => {
      out(result.succeeded ? "SUCCESS\n" : "FAILURE\n");
      for (const response of result.responses) {
        out("\n");
        writeResponse(format, response);
      }
    },
    watch: (answer) => {
      for (const event of answer.events) {
        out(event.type === "delete" ? "DELETE\n" : "PUT\n");
        if (event.prevKv !== undefined) keyValue(event.prevKv);
        keyValue(event.kv);
      }
    },
    grant: (result) => out(`lease ${leaseHex(result.id)} granted with TTL(${result.ttlSeconds}s)\n`),
    revoke: (id) => out(`lease ${leaseHex(id)} revoked\n`),
    keepAlive: (result) => out(`lease ${leaseHex(result.id)} keepalived with TTL(${result.ttlSeconds})\n`),
    timeToLive: (result, { keys }) => {
      const lease = `lease ${leaseHex(result.id)}`;
      if (result.grantedTtlSeconds === 0 && result.ttlSeconds === -1) {
        out(`${lease} already expired\n`);
        return;
      }
      out(`${lease} granted with TTL(${result.grantedTtlSeconds}s), remaining(${result.ttlSeconds}s)`);
      if (keys) out(Buffer.concat([...spaced(result.keys)]));
      out("\n");
    },
    leases: (result) => {
      out(`found ${result.ids.length} leases\n`);
      for (const id of result.ids) out(`${leaseHex(id)}\n`);
    },
    memberList: (result) => rows(memberRows(result)),
    ...memberChanges(options),
    alarms: (result) => {
      for (const alarm of result.alarms) out(`memberID:${alarm.memberId} alarm:${alarm.type}\n`);
    },
    endpointHealth: (list) => {
      for (const { endpoint, error, tookMs } of list) {
        const took = formatDuration(tookMs);
        if (error === "") out(`${endpoint} is healthy: successfully committed proposal: took = ${took}\n`);
        else options.err(`${endpoint} is unhealthy: failed to commit proposal: ${error}\n`);
      }
    },
    endpointStatus: (list) => rows(statusRows(list)),
    endpointHash: (list) => rows(hashRows(list)),
    agents: (list) => out(drawTable(agentRows(list, options))),
  };
  return format;
}

function memberChanges({ out }: FormatOptions): Pick<Format, "memberAdd" | "memberChanged" | "moveLeader"> {
  const padded = (id: bigint) => id.toString(16).padStart(16);
  return {
    memberAdd: ({ header, member, members }, { name, peerUrls }) => {
      const role = member.isLearner ? " as learner " : " ";
      out(`Member ${padded(member.id)} added${role}to cluster ${padded(header.clusterId)}\n`);
      const cluster = members.flatMap(({ id, name: known, peerUrls: urls }) =>
        urls.map((url) => `${id === member.id ? name : known}=${url}`),
      );
      out(`\nETCD_NAME=${goQuote(Buffer.from(name))}\n`);
      out(`ETCD_INITIAL_CLUSTER=${goQuote(Buffer.from(cluster.join(",")))}\n`);
      out(`ETCD_INITIAL_ADVERTISE_PEER_URLS=${goQuote(Buffer.from(peerUrls))}\n`);
      out('ETCD_INITIAL_CLUSTER_STATE="existing"\n');
    },
    memberChanged: (change, id, { header }) =>
      out(`Member ${padded(id)} ${change} cluster ${padded(header.clusterId)}\n`),
    moveLeader: ({ from, to }) =>
      out(`Leadership transferred from ${from.toString(16)} to ${to.toString(16)}\n`),
  };
}

function writeLine({ out, hex }: FormatOptions, bytes: Buffer): void {
  const shown = hex ? Buffer.from(bytes.toString("hex").replace(/../g, "\\x$&")) : bytes;
  out(Buffer.concat([shown, Buffer.from("\n")]));
}

/** ", attached keys([a b])" */
function* spaced(keys: readonly Buffer[]): Generator<Buffer> {
  yield Buffer.from(", attached keys([");
  for (const [index, key] of keys.entries()) {
    if (index > 0) yield Buffer.from(" ");
    yield key;
  }
  yield Buffer.from("])");
}
