import { AlarmType } from "../proto/gen/rpc.ts";

/** "NOSPACE", "CORRUPT" (rpc.proto AlarmType); undefined for a type that this version does not know. */
export function alarmName(type: AlarmType): string | undefined {
  return Object.entries(AlarmType).find(([, known]) => known === type)?.[0];
}
