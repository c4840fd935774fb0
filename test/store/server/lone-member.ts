import assert from "node:assert/strict";
import { pino } from "pino";
import { systemClock } from "../../../base/clock.ts";
import { nodeDisk } from "../../../base/node-disk.ts";
import { seededRandom } from "../../../base/random.ts";
import { type BootstrapConfig, bootstrapPlan } from "../../../store/membership/bootstrap-plan.ts";
import { clusterId, memberId } from "../../../store/membership/member-id.ts";
import type { MemberOptions } from "../../../store/server/open-member.ts";

const PEER_URLS = ["http://p:2380"];
const TOKEN = "lone";

export const MEMBER_ID = memberId(PEER_URLS, TOKEN);
export const CLUSTER_ID = clusterId([MEMBER_ID]);

const bootstrap: BootstrapConfig = {
  name: "one",
  advertisePeerUrls: PEER_URLS,
  initialCluster: new Map([["one", PEER_URLS]]),
  clusterToken: TOKEN,
  isNew: true,
  learnersMax: 1,
};

/** Of a member that is alone, on the machine's disk, and listens nowhere. */
export function loneMember(dataFolder: string): MemberOptions {
  return {
    dataFolder,
    bootstrap,
    plan: (hasData) =>
      bootstrapPlan(bootstrap, hasData, {
        fetchMembers: () => Promise.reject(new Error("nobody is there")),
        lookup: (host) => Promise.resolve(host),
        signal: new AbortController().signal,
      }),
    isForced: false,
    onCall: () => Promise.reject(new Error("nobody calls")),
    onRemoved: () => assert.fail("a lone member is not removed"),
    quotaBytes: 0,
    requestBytesMax: 1.5 * 1024 * 1024,
    limits: { tickMs: 100, electionTicks: 10 },
    disk: nodeDisk,
    clock: systemClock,
    random: seededRandom(1),
    logger: pino({ level: "silent" }),
    onFatal: (error) => assert.fail(String(error)),
  };
}
