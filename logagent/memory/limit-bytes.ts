import { CodedError } from "../../base/errors.ts";
import { READING_BYTES_MIN } from "./reading.ts";

/** Of what a cgroup may take: the kernel counts pages of files and sockets in it as well, and kills above it. */
export const CGROUP_SHARE = 0.85;
/** Of what is free when the agent starts, for what is read and not acknowledged; as much again goes to chunks, and to requests. */
const READING_SHARE = 1 / 4;

/** The limit of the resident memory in bytes; undefined: none. */
export function memoryLimitBytes(given: {
  /** `memory.max` of the agent's config. */
  readonly configuredBytes: number | undefined;
  /** What the process may take by its cgroup; 0 or more than the machine has: it is not limited. */
  readonly constrainedBytes: number;
  readonly machineBytes: number;
}): number | undefined {
  const { configuredBytes, constrainedBytes, machineBytes } = given;
  if (configuredBytes !== undefined) return configuredBytes;
  if (constrainedBytes <= 0 || constrainedBytes >= machineBytes) return undefined;
  return Math.floor(constrainedBytes * CGROUP_SHARE);
}

/**
 * The reading budget when all of it may be used. Throws CodedError "EMEMORY" for a limit below which nothing can be read, by
 * what the process takes before it reads.
 */
export function fullReadingBytes(given: {
  readonly limitBytes: number;
  readonly rssBytes: number;
  /** `memory.maxInFlightBytes`. */
  readonly maxInFlightBytes: number;
}): number {
  const { limitBytes, rssBytes, maxInFlightBytes } = given;
  const neededBytes = rssBytes + READING_BYTES_MIN / READING_SHARE;
  if (limitBytes < neededBytes) {
    throw new CodedError(
      "EMEMORY",
      `Cannot keep memory.max: it is ${limitBytes} bytes, expected at least ${neededBytes}: the agent takes ${rssBytes} bytes before it reads anything`,
    );
  }
  return Math.min(maxInFlightBytes, Math.floor((limitBytes - rssBytes) * READING_SHARE));
}
