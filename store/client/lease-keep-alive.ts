import { type CallContext, callWithRetries, type Try } from "./call.ts";
import { headerOf } from "./decode-results.ts";
import { TransportTrouble } from "./failure.ts";
import { METHODS } from "./method.ts";
import type { CallOptions } from "./operations.ts";
import type { LeaseKeepAliveResult } from "./results.ts";

/**
 * Renews a lease once, on a stream of its own: a renewal every TTL/3 is too rare to be worth a stream that stands, and
 * this way each one may go to another endpoint. Throws ClientError, or the signal's reason.
 */
export function keepAliveOnce(
  context: CallContext,
  id: bigint,
  options: CallOptions,
): Promise<LeaseKeepAliveResult> {
  const plan = { what: `renew lease ${id.toString(16)}`, repeatable: true, signal: options.signal };
  return callWithRetries(context, plan, (attempt) => renew(attempt, id));
}

function renew(attempt: Try, id: bigint): Promise<LeaseKeepAliveResult> {
  const { connection, metadata, signal, timeoutMs } = attempt;
  return new Promise((resolve, reject) => {
    const call = connection.stream(METHODS.leaseKeepAlive, metadata);
    const onAbort = () => finish(() => reject(signal.reason));
    const timer = setTimeout(
      () => finish(() => reject(noAnswer(`no answer within ${Math.round(timeoutMs)} ms`))),
      timeoutMs,
    );
    const finish = (act: () => void) => {
      clearTimeout(timer);
      signal.removeEventListener("abort", onAbort);
      act();
      call.cancel();
    };
    signal.addEventListener("abort", onAbort, { once: true });
    call.on("data", (answer) => {
      finish(() => resolve({ header: headerOf(answer), id: answer.ID, ttlSeconds: answer.TTL }));
    });
    call.on("error", (error) => finish(() => reject(error)));
    call.on("end", () => finish(() => reject(noAnswer("the store ended the stream without an answer"))));
    call.write({ ID: id });
    call.end();
  });
}

function noAnswer(message: string): TransportTrouble {
  return new TransportTrouble(message, { left: true });
}
