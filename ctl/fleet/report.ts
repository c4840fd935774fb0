import { errorMessage } from "../../base/errors.ts";
import { type AgentStatus, agentStatusSchema, type StatusLoss } from "../../conf/agent-status.ts";
import type { KeyValue } from "../../store/client/types.ts";

/** Under the fleet's prefix each agent has a folder named by its identity, with these two keys in it. */
export const CONFIG_KEY = "collect_config";
export const STATUS_KEY = "status";

/** What became of the newest config in the store, as the agent tells. */
export type ConfigOutcome =
  | "applied"
  /** The agent has not got to it yet. */
  | "waiting"
  | "refused"
  /** There is no config for this agent. */
  | "none"
  /** Nobody tells: the agent is absent, or its status can't be read. */
  | "unknown";

/** One agent of the fleet, put together from its config key and its status key. */
export interface AgentReport {
  readonly id: string;
  /**
   * "alive": it holds its status key by a lease. "absent": there is a config for it, and no status. "duplicate": it is
   * alive under an identity whose status key another agent holds.
   */
  readonly state: "alive" | "absent" | "duplicate";
  /** Of the config key; undefined: there is none. */
  readonly configRevision: number | undefined;
  readonly configState: ConfigOutcome;
  /** Undefined when absent, or when it can't be read. */
  readonly status: AgentStatus | undefined;
  /** How old the figures in the status are, by this machine's clock and the agent's; undefined: it does not say. */
  readonly ageMs: number | undefined;
  /** Sentences: why a config was refused, what tasks complain of, flags. */
  readonly problems: readonly string[];
}

/** The keys of one identity. */
interface Folder {
  config?: KeyValue;
  status?: KeyValue;
  /** `status/<instance id>`: of agents that found the status key taken. */
  readonly rivals: KeyValue[];
}

/**
 * The agents under `prefix` ("/logagent"), by name, from all the keys under it; those that share an identity follow one
 * another. Keys of anything else are left out. `nowMs` is the wall clock's.
 */
export function fleetReport(prefix: string, kvs: readonly KeyValue[], nowMs: number): AgentReport[] {
  const folders = new Map<string, Folder>();
  for (const kv of kvs) {
    const found = agentKey(prefix, kv.key.toString("utf8"));
    if (found === undefined) continue;
    const folder = folders.get(found.id) ?? { rivals: [] };
    folders.set(found.id, folder);
    if (found.kind === "rival") folder.rivals.push(kv);
    else folder[found.kind] = kv;
  }
  return [...folders]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .flatMap(([id, folder]) => identityReports(id, folder, nowMs));
}

/** The status in a key, or why there is none in it. */
export function readStatus(kv: KeyValue): AgentStatus | { readonly unreadable: string } {
  try {
    const parsed = agentStatusSchema.safeParse(JSON.parse(kv.value.toString("utf8")));
    if (parsed.success) return parsed.data;
    const issue = parsed.error.issues[0];
    return { unreadable: `${issue?.path.join(".")}: ${issue?.message}` };
  } catch (error) {
    return { unreadable: errorMessage(error) };
  }
}

function agentKey(
  prefix: string,
  key: string,
): { readonly id: string; readonly kind: "config" | "status" | "rival" } | undefined {
  const start = `${prefix.replace(/\/+$/, "")}/`;
  if (!key.startsWith(start)) return undefined;
  const [id, name, instance, ...rest] = key.slice(start.length).split("/");
  if (id === undefined || id === "" || rest.length > 0) return undefined;
  if (instance !== undefined) return name === STATUS_KEY ? { id, kind: "rival" } : undefined;
  if (name === CONFIG_KEY) return { id, kind: "config" };
  return name === STATUS_KEY ? { id, kind: "status" } : undefined;
}

function identityReports(id: string, folder: Folder, nowMs: number): AgentReport[] {
  const { config, status, rivals } = folder;
  const duplicates = rivals.map((kv) => agentReport(id, { config, status: kv, state: "duplicate" }, nowMs));
  const own = agentReport(id, { config, status, state: status === undefined ? "absent" : "alive" }, nowMs);
  const problems = [...duplicates.map(({ status: other }) => sharedIdentity(other)), ...own.problems];
  return [{ ...own, problems }, ...duplicates];
}

function sharedIdentity(other: AgentStatus | undefined): string {
  const instance = other?.instance;
  const who =
    instance === undefined ? "another agent" : `another agent (host ${instance.host}, pid ${instance.pid})`;
  return `${who} has the same identity, set ip: on one of them`;
}

function agentReport(
  id: string,
  keys: {
    readonly config: KeyValue | undefined;
    readonly status: KeyValue | undefined;
    readonly state: AgentReport["state"];
  },
  nowMs: number,
): AgentReport {
  const { state } = keys;
  const configRevision = keys.config?.modRevision;
  const silent = {
    id,
    state,
    configRevision,
    configState: "unknown",
    status: undefined,
    ageMs: undefined,
  } as const;
  if (keys.status === undefined) return { ...silent, problems: [] };
  const status = readStatus(keys.status);
  if ("unreadable" in status) {
    return { ...silent, problems: [`Cannot read its status: ${status.unreadable}`] };
  }
  const configState = configStateOf(configRevision, status);
  const ageMs = status.asOf === undefined ? undefined : Math.max(0, nowMs - Date.parse(status.asOf));
  return { id, state, configRevision, configState, status, ageMs, problems: problemsOf(status) };
}

function configStateOf(revision: number | undefined, status: AgentStatus): ConfigOutcome {
  if (revision === undefined) return "none";
  if (status.config.failed?.revision === revision) return "refused";
  return status.config.applied >= revision ? "applied" : "waiting";
}

function problemsOf(status: AgentStatus): string[] {
  const { failed } = status.config;
  return [
    ...(failed === undefined ? [] : [`revision ${failed.revision} refused: ${failed.reason}`]),
    ...status.flags,
    ...(status.losses ?? []).slice(0, 1).map(newestLoss),
    ...status.worst.flatMap((task) => task.problems.map((problem) => `${task.path}: ${problem}`)),
    ...status.worst
      .filter((task) => task.state === "waiting for file" && task.problems.length === 0)
      .map((task) => `${task.path}: waiting for file`),
  ];
}

function newestLoss({ path, from, to, reason, at }: StatusLoss): string {
  const what =
    to === "unknown" ? `what ${path} had behind byte ${from}, if anything` : `${to - from} bytes of ${path}`;
  return `lost ${what}: ${reason}, noticed ${at} (logagent audit tells all)`;
}
