import { z } from "zod";

/** The largest status value: a fleet of thousands writes them into a store with a quota. */
export const STATUS_BYTES_MAX = 16 * 1024;

/** How many losses a status shows; the others are in the agent's loss journal. */
export const STATUS_LOSSES_MAX = 5;

/** How many tasks a status names; the rest shows in the totals and on the agent's own HTTP. */
export const STATUS_WORST_TASKS_MAX = 20;

const count = z.int().min(0);

/** One run of an agent: tells two agents with the same identity apart. */
export const agentInstanceSchema = z.object({
  /** Random, made when the process starts. */
  id: z.string(),
  host: z.string(),
  pid: count,
});

/** One task in trouble, far behind, or without a file. */
export const statusTaskSchema = z.object({
  path: z.string(),
  topic: z.string(),
  /** TaskState; any text, so that a state of a newer agent can be read. */
  state: z.string(),
  /** Size of the files minus what is acknowledged. */
  bytesBehind: count,
  /** Sentences that start with what failed. */
  problems: z.array(z.string()),
});

/** Bytes that nobody can ship any more. */
export const statusLossSchema = z.object({
  path: z.string(),
  from: count,
  /** "unknown": nobody saw how many there were, perhaps none. */
  to: z.union([count, z.literal("unknown")]),
  reason: z.string(),
  /** When it was noticed, ISO 8601 in UTC. */
  at: z.string(),
});

/**
 * The value of `<key's folder>/status`, which an agent writes under its lease: on change, a second after it, and every ten
 * seconds to a minute while figures change (an agent at which nothing happens confirms its figures every ten minutes).
 * Readers ignore fields they do not know, so that a newer agent shows in an older `logctl`; hence the objects are not
 * strict.
 */
export const agentStatusSchema = z.object({
  /** Of the logagent package. */
  version: z.string(),
  /** The agent's identity. */
  ip: z.string(),
  /** Absent: an agent older than this field. */
  instance: agentInstanceSchema.optional(),
  /** When the process started, ISO 8601 in UTC. */
  startedAt: z.string(),
  /** When the figures were taken, ISO 8601 in UTC, by the agent's clock. */
  asOf: z.string().optional(),
  config: z.object({
    /** mod_revision of the collect config that runs; 0: none yet. */
    applied: count,
    /** The newest revision that was refused, while the applied one kept running. */
    failed: z.object({ revision: count, reason: z.string() }).optional(),
  }),
  /** Sums over all tasks; bytes are of the files, newlines included; counters since the start. */
  totals: z.object({
    tasks: count,
    files: count,
    bytesRead: count,
    bytesAcked: count,
    linesAcked: count,
    bytesBehind: count,
    bytesLost: count,
    /** Losses of unknown extent. Absent: an agent older than this field. */
    lossesUnknown: count.optional(),
    /** Of the oldest byte in the agent that was read and not acknowledged; 0 when there is none. */
    oldestUnackedAgeMs: z.number().min(0),
  }),
  /** The tasks with problems first, then those furthest behind, then those without a file. */
  worst: z.array(statusTaskSchema).max(STATUS_WORST_TASKS_MAX),
  /** The newest first, those of earlier runs among them. Absent: an agent older than this field. */
  losses: z.array(statusLossSchema).max(STATUS_LOSSES_MAX).optional(),
  /** Names of the collect config's fields that this agent understands. */
  knownFields: z.array(z.string()),
  /** Conditions of the whole agent worth a person's look, as stable words ("identity-conflict"). */
  flags: z.array(z.string()),
});

export type AgentInstance = z.output<typeof agentInstanceSchema>;
export type StatusLoss = z.output<typeof statusLossSchema>;
export type StatusTask = z.output<typeof statusTaskSchema>;
export type AgentStatus = z.output<typeof agentStatusSchema>;
