import { idText } from "../raft/id-text.ts";
import { askHashes } from "./ask-hashes.ts";
import { type HeldHash, raiseForCorrupt } from "./corrupt-members.ts";
import type { CorruptionCheckOptions } from "./corruption-check.ts";
import { COMPACTION_HASH_CALL } from "./peer-calls.ts";

/** Nothing is hashed for the answer. */
const ASK_TIMEOUT_MS = 10_000;

/**
 * Compares what the members' compactions hashed (etcd corrupt.go CompactHashCheck), which takes no walk over the data. A
 * member whose compaction is not finished, or was interrupted by a restart, has no hash at that revision: then an older
 * compaction is compared, and this one the next time.
 */
export class CompactionHashCheck {
  /** Of the newest compaction that all members were compared at. */
  #checkedRevision = 0;

  /** For the leader. */
  async check(options: CorruptionCheckOptions & { readonly signal: AbortSignal }): Promise<void> {
    const { replica, hashes, logger } = options;
    const others = replica.state.members.filter(({ id }) => id !== replica.memberId);
    for (const { hash, compactRevision, hashRevision: revision } of hashes.compactions) {
      if (revision <= this.#checkedRevision) return;
      const own: HeldHash = { id: replica.memberId, hash, compactRevision };
      const asked = { ...options, method: COMPACTION_HASH_CALL, timeoutMs: ASK_TIMEOUT_MS };
      const answers = await askHashes(others, revision, asked);
      const compared = [own, ...answers].filter((held) => held.compactRevision === compactRevision);
      if (await raiseForCorrupt(compared, { revision, compactRevision }, options)) return;
      const fields = { revision, compactRevision, members: compared.map(({ id }) => idText(id)) };
      if (compared.length === others.length + 1) {
        this.#checkedRevision = revision;
        logger.info(fields, "members' compactions hashed the same data");
        return;
      }
      logger.warn(fields, "could not compare what every member's compaction hashed");
    }
  }
}
