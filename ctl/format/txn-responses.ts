import type { OperationResult } from "../../store/client/results.ts";
import type { Format } from "./format.ts";

/** Writes the answer to one operation of a transaction as the verb's own answer is written. */
export function writeResponse(
  format: Pick<Format, "get" | "put" | "del" | "txn">,
  result: OperationResult,
): void {
  switch (result.kind) {
    case "range":
      format.get(result, { valueOnly: false });
      break;
    case "put":
      format.put(result);
      break;
    case "delete":
      format.del(result);
      break;
    case "txn":
      format.txn(result);
      break;
    default:
      result satisfies never;
  }
}
