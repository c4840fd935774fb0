import { setTimeout as sleep } from "node:timers/promises";
import type { LocalMember } from "../../../deploy/cluster/local-member.ts";
import { StoreClient } from "../../../store/client/client.ts";
import { ClientError } from "../../../store/client/client-error.ts";
import type { Wire } from "../../support/peer-wires.ts";
import type { ClusterBed } from "./cluster-bed.ts";

/** Who suffers. */
interface Scene {
  readonly bed: ClusterBed;
  readonly leader: LocalMember;
  readonly followers: readonly [LocalMember, LocalMember];
}

/** Something that goes wrong and is mended again. */
export interface Fault {
  /** It is there when this resolves. */
  begin(scene: Scene): Promise<void> | void;
  /** At least; it may last until the writes flow again. */
  readonly lastsMs: number;
  end(scene: Scene): Promise<void> | void;
}

/** Longer than an election timeout, and than the longest that a member may draw. */
const PAUSE_MS = 2_500;
const CUT_MS = 2_500;
const SLOW_MS = 2_000;
const SYNC_DELAY_MS = 300;
const FULL_ENDS_MS = 20_000;
const FILL_BYTES = 200_000;
const FILL_RETRY_MS = 50;
const FILLER_LIMITS = { dialTimeoutMs: 500, tryTimeoutMs: 1_000, callTimeoutMs: 2_000, backoffMaxMs: 200 };
/** Room for a few writes: it gets full in the middle of things. */
const FULL_BYTES = 2_000;

export const FAULTS = {
  "leader killed": killed(({ leader }) => leader),
  "follower killed": killed(({ followers: [follower] }) => follower),
  "leader paused": paused(({ leader }) => leader),
  "follower paused": paused(({ followers: [follower] }) => follower),
  "leader cut from both": cut(({ leader, followers: [a, b] }) => [
    ...between(leader, a),
    ...between(leader, b),
  ]),
  "leader cut from one": cut(({ leader, followers: [a] }) => between(leader, a)),
  "followers cut from each other": cut(({ followers: [a, b] }) => between(a, b)),
  "leader is not heard": cut(({ leader, followers: [a, b] }) => [oneWay(leader, a), oneWay(leader, b)]),
  "leader does not hear": cut(({ leader, followers: [a, b] }) => [oneWay(a, leader), oneWay(b, leader)]),
  "follower is not heard": cut(({ leader, followers: [a, b] }) => [oneWay(a, leader), oneWay(a, b)]),
  "leader's disk full": diskFull(({ leader }) => leader),
  "follower's disk full": diskFull(({ followers: [follower] }) => follower),
  "leader's disk slow": diskSlow(({ leader }) => leader),
  "follower's disk slow": diskSlow(({ followers: [follower] }) => follower),
} as const satisfies Record<string, Fault>;

export type FaultName = keyof typeof FAULTS;

/** Those that take its office from the leader: if there was no election, there was no fault. */
export const DEPOSING: ReadonlySet<FaultName> = new Set<FaultName>([
  "leader killed",
  "leader paused",
  "leader cut from both",
  "leader is not heard",
  "leader does not hear",
  "leader's disk full",
]);

type Choice = (scene: Scene) => LocalMember;

function killed(choose: Choice): Fault {
  return {
    begin: (scene) => choose(scene).kill(),
    lastsMs: 0,
    end: (scene) => choose(scene).start(),
  };
}

function paused(choose: Choice): Fault {
  return {
    begin: (scene) => choose(scene).pause(),
    lastsMs: PAUSE_MS,
    end: (scene) => choose(scene).resume(),
  };
}

function cut(choose: (scene: Scene) => readonly Wire[]): Fault {
  return {
    begin: (scene) => scene.bed.wires.cut(choose(scene)),
    lastsMs: CUT_MS,
    end: ({ bed }) => bed.wires.heal(),
  };
}

/**
 * What cannot be kept is not promised: the member ends, and is started again when there is room. Its log has zeros to
 * write over for a while; large values make the rest of its files grow.
 */
function diskFull(choose: Choice): Fault {
  return {
    begin: async (scene) => {
      const member = choose(scene);
      using client = StoreClient.create({ endpoints: scene.bed.endpoints, limits: FILLER_LIMITS });
      const tooLate = AbortSignal.timeout(FULL_ENDS_MS);
      const { onUnexpectedEnd } = member;
      let hasEnded = false;
      const ended = member.ended().then(() => {
        hasEnded = true;
      });
      member.onUnexpectedEnd = undefined;
      scene.bed.disk(member).full(FULL_BYTES);
      while (!hasEnded) {
        if (tooLate.aborted) throw new Error(`Member ${member.name} goes on without room on its disk`);
        await Promise.race([ended, fill(client)]);
      }
      member.onUnexpectedEnd = onUnexpectedEnd;
    },
    lastsMs: 0,
    end: async (scene) => {
      const member = choose(scene);
      scene.bed.disk(member).heal();
      await member.start();
    },
  };
}

/** Whether it is acknowledged does not matter: the key is no register. */
async function fill(client: StoreClient): Promise<void> {
  try {
    await client.put("fill", "x".repeat(FILL_BYTES), { signal: AbortSignal.timeout(FULL_ENDS_MS) });
  } catch (error) {
    if (!(error instanceof ClientError)) throw error;
    await sleep(FILL_RETRY_MS);
  }
}

function diskSlow(choose: Choice): Fault {
  return {
    begin: (scene) => scene.bed.disk(choose(scene)).slow(SYNC_DELAY_MS),
    lastsMs: SLOW_MS,
    end: (scene) => scene.bed.disk(choose(scene)).heal(),
  };
}

function oneWay(from: LocalMember, to: LocalMember): Wire {
  return { from: from.name, to: to.name };
}

function between(a: LocalMember, b: LocalMember): readonly Wire[] {
  return [oneWay(a, b), oneWay(b, a)];
}
