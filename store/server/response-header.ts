import { BinaryWriter } from "../proto/binary-writer.ts";
import { ResponseHeader } from "../proto/gen/rpc.ts";
import type { Replica } from "../replica/replica.ts";

const EMPTY = Buffer.alloc(0);
/** Key byte of field 1, length-delimited: the header is the first field of every response (rpc.proto). */
const HEADER_TAG = 0x0a;
/** Key bytes of ResponseHeader.revision and raft_term (fields 3 and 4, varints). */
const REVISION_KEY = 3 << 3;
const RAFT_TERM_KEY = 4 << 3;
/** A header is two 64-bit ids, a revision and a term, at most 11 bytes each: its length fits one byte. */
const LENGTH_OFFSET = 1;

/** Puts the response header in front of answers whose other fields are marshalled already (rpc.proto ResponseHeader). */
export class ResponseHeaders {
  readonly #replica: Pick<Replica, "status">;
  /** Cluster and member id, which never change. */
  readonly #ids: Buffer;

  constructor(replica: Pick<Replica, "clusterId" | "memberId" | "status">) {
    this.#replica = replica;
    const { clusterId, memberId } = replica;
    this.#ids = ResponseHeader.encode({ clusterId, memberId, revision: 0, raftTerm: 0 }).finish();
  }

  /** The header field with `revision` and today's term, and `body` behind it, in a buffer of the caller's. */
  before(revision: number, body: Uint8Array = EMPTY): Buffer {
    const changing = new BinaryWriter();
    if (revision !== 0) changing.uint32(REVISION_KEY).int64(revision);
    changing.uint32(RAFT_TERM_KEY).uint64(this.#replica.status.term);
    const tail = changing.finish();
    const message = Buffer.allocUnsafe(2 + this.#ids.length + tail.length + body.length);
    message[0] = HEADER_TAG;
    message[LENGTH_OFFSET] = this.#ids.length + tail.length;
    this.#ids.copy(message, 2);
    tail.copy(message, 2 + this.#ids.length);
    message.set(body, message.length - body.length);
    return message;
  }
}
