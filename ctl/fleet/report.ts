import { errorMessage } from "../../base/errors.ts";
import { type AgentStatus, agentStatusSchema } from "../../conf/agent-status.ts";
import type { KeyValue } from "../../store/client/types.ts";

/** Under the fleet's prefix each agent has a folder named by its identity, with these two keys in it. */
export const CONFIG_KEY = "collect_config";
export const STATUS_KEY = "status";

/** What became of the newest config in the store, as the agent tells. */
export type ConfigState =
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
  /** "alive": it holds its status key by a lease. "absent": there is a config for it, and no status. */
  readonly state: "alive" | "absent";
  /** Of the config key; undefined: there is none. */
  readonly configRevision: number | undefined;
  readonly configState: ConfigState;
  /** Undefined when absent, or when it can't be read. */
  readonly status: AgentStatus | undefined;
  /** Sentences: why a config was refused, what tasks complain of, flags. */
  readonly problems: readonly string[];
}

/** The agents under `prefix` ("/logagent"), by name, from all the keys under it. Keys that are neither are left out. */
export function fleetReport(prefix: string, kvs: readonly KeyValue[]): AgentReport[] {
  const folders = new Map<string, { config?: KeyValue; status?: KeyValue }>();
  for (const kv of kvs) {
    const found = agentKey(prefix, kv.key.toString("utf8"));
    if (found === undefined) continue;
    const folder = folders.get(found.id) ?? {};
    folders.set(found.id, { ...folder, [found.kind]: kv });
  }
  return [...folders]
    .map(([id, { config, status }]) => agentReport(id, config, status))
    .sort((a, b) => (a.id < b.id ? -1 : 1));
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
): { readonly id: string; readonly kind: "config" | "status" } | undefined {
  const start = `${prefix.replace(/\/+$/, "")}/`;
  if (!key.startsWith(start)) return undefined;
  const [id, name, ...rest] = key.slice(start.length).split("/");
  if (id === undefined || id === "" || rest.length > 0) return undefined;
  if (name === CONFIG_KEY) return { id, kind: "config" };
  return name === STATUS_KEY ? { id, kind: "status" } : undefined;
}

function agentReport(id: string, config: KeyValue | undefined, statusKv: KeyValue | undefined): AgentReport {
  const configRevision = config?.modRevision;
  if (statusKv === undefined) {
    return { id, state: "absent", configRevision, configState: "unknown", status: undefined, problems: [] };
  }
  const status = readStatus(statusKv);
  if ("unreadable" in status) {
    const problems = [`Cannot read its status: ${status.unreadable}`];
    return { id, state: "alive", configRevision, configState: "unknown", status: undefined, problems };
  }
  const configState = configStateOf(configRevision, status);
  return { id, state: "alive", configRevision, configState, status, problems: problemsOf(status) };
}

function configStateOf(revision: number | undefined, status: AgentStatus): ConfigState {
  if (revision === undefined) return "none";
  if (status.config.failed?.revision === revision) return "refused";
  return status.config.applied >= revision ? "applied" : "waiting";
}

function problemsOf(status: AgentStatus): string[] {
  const { failed } = status.config;
  return [
    ...(failed === undefined ? [] : [`revision ${failed.revision} refused: ${failed.reason}`]),
    ...status.flags,
    ...status.worst.flatMap((task) => task.problems.map((problem) => `${task.path}: ${problem}`)),
  ];
}
