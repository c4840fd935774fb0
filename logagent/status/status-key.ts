import { CodedError } from "../../base/errors.ts";
import { type AgentInstance, agentStatusSchema } from "../../conf/agent-status.ts";
import type { StoreClient } from "../../store/client/client.ts";
import type { Operation, Transaction } from "../../store/client/operations.ts";

export type ClaimResult =
  | { readonly kind: "written" }
  /** Another lease holds the key; `holder` is what its status says of it, where it can be read. */
  | { readonly kind: "taken"; readonly lease: bigint; readonly holder: AgentInstance | undefined };

/** Rounds of one claim: the key may vanish or change between two transactions. */
const ROUNDS_MAX = 5;

/**
 * Puts the status under our lease, if the key is absent or under our lease already; a key under `previous`, the lease of
 * this agent before its restart, is ours too and is taken over. Throws what the client throws, and
 * CodedError "ECONTENDED" when others change the key all the time.
 */
export async function claimStatusKey(
  client: Pick<StoreClient, "txn">,
  claim: {
    readonly key: string;
    readonly value: Uint8Array;
    readonly lease: bigint;
    readonly previous: bigint | undefined;
    readonly signal: AbortSignal;
  },
): Promise<ClaimResult> {
  const { key, value, lease, previous, signal } = claim;
  const put: Operation = { kind: "put", key, value, lease };
  const read: Operation = { kind: "range", key };
  let transaction: Transaction = {
    compare: [{ key, target: "create", result: "=", operand: 0 }],
    success: [put],
    failure: [read],
  };
  for (let round = 0; round < ROUNDS_MAX; round += 1) {
    const { succeeded, responses } = await client.txn(transaction, { signal });
    if (succeeded) return { kind: "written" };
    const [response] = responses;
    const found = response?.kind === "range" ? response.kvs[0] : undefined;
    if (found !== undefined && found.lease !== lease && found.lease !== previous) {
      return { kind: "taken", lease: found.lease, holder: holderIn(found.value) };
    }
    transaction = {
      compare:
        found === undefined
          ? [{ key, target: "create", result: "=", operand: 0 }]
          : [{ key, target: "mod", result: "=", operand: found.modRevision }],
      success: [put],
      failure: [read],
    };
  }
  const reason = `it changed under each of ${ROUNDS_MAX} tries`;
  throw new CodedError("ECONTENDED", `Cannot write status key ${key}: ${reason}`);
}

function holderIn(value: Uint8Array): AgentInstance | undefined {
  try {
    return agentStatusSchema.parse(JSON.parse(Buffer.from(value).toString("utf8"))).instance;
  } catch {
    return undefined; // only named in a log line
  }
}
