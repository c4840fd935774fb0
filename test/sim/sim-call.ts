import { CodedError } from "../../base/errors.ts";
import type { CallMember } from "../../store/server/call-member.ts";
import type { PeerNetwork, SimTransport } from "./sim-transport.ts";

/** Until a broken connection is noticed. */
const NOTICE_MS = 5;

/** How a member asks others beside the log: over the network, and no longer than it may wait. */
export function simCalls(peers: PeerNetwork, from: SimTransport): CallMember {
  return ({ peerUrls }, call, { timeoutMs, signal }) =>
    new Promise((resolve, reject) => {
      const to = peers.findAt(peerUrls);
      if (signal.aborted) return reject(signal.reason);
      if (to === undefined) return reject(broken("nobody listens there"));
      const { network } = peers;
      const end = (settle: () => void) => {
        from.process.cancel(timer);
        signal.removeEventListener("abort", onAbort);
        forget();
        settle();
      };
      const onBroken = () => {
        from.process.after(NOTICE_MS, () => end(() => reject(broken("the connection broke"))));
      };
      const onAbort = () => end(() => reject(signal.reason));
      const timer = from.process.after(timeoutMs, () => end(() => reject(broken("no answer in time"))));
      const forget = to.process.onEnd(onBroken);
      signal.addEventListener("abort", onAbort, { once: true });
      const answer = (settle: () => void) => network.carryInOrder(to, from, () => end(settle), onBroken);
      network.carryInOrder(
        from,
        to,
        () => {
          to.answer(call, { signal: new AbortController().signal }).then(
            (bytes) => answer(() => resolve(bytes)),
            (error: unknown) => answer(() => reject(error)),
          );
        },
        onBroken,
      );
    });
}

function broken(why: string): CodedError {
  return new CodedError("EPEERCALL", `Cannot ask a member: ${why}`);
}
