import type { Header, KeyValue } from "../../store/client/types.ts";
import { goQuote } from "../go-text.ts";
import { type FormatOptions, leaseHex } from "./format.ts";

/** Writes the lines of `fields`. */
export interface FieldsWriter {
  /** `"Name" : value` */
  readonly field: (name: string, value: unknown) => void;
  /** `"Name" : "text"`, quoted as Go does. */
  readonly text: (name: string, value: string | Uint8Array) => void;
  readonly head: (header: Header) => void;
  readonly keyValue: (prefix: "" | "Prev", kv: KeyValue) => void;
  /** Ends one of several. */
  readonly gap: () => void;
  readonly memberId: (id: bigint) => string;
  readonly leaseId: (id: bigint) => string;
}

export function fieldsWriter({ out, hex }: FormatOptions): FieldsWriter {
  const field = (name: string, value: unknown) => out(`"${name}" : ${String(value)}\n`);
  const text = (name: string, value: string | Uint8Array) => field(name, goQuote(Buffer.from(value)));
  const memberId = (id: bigint) => id.toString(hex ? 16 : 10);
  const leaseId = (id: bigint) => (hex ? leaseHex(id) : id.toString());
  const head = (header: Header) => {
    field("ClusterID", memberId(header.clusterId));
    field("MemberID", memberId(header.memberId));
    if (header.revision > 0) field("Revision", header.revision);
    field("RaftTerm", header.raftTerm);
  };
  const keyValue = (prefix: "" | "Prev", kv: KeyValue) => {
    text(`${prefix}Key`, kv.key);
    field(`${prefix}CreateRevision`, kv.createRevision);
    field(`${prefix}ModRevision`, kv.modRevision);
    field(`${prefix}Version`, kv.version);
    text(`${prefix}Value`, kv.value);
    field(`${prefix}Lease`, leaseId(kv.lease));
  };
  return { field, text, head, keyValue, gap: () => out("\n"), memberId, leaseId };
}
