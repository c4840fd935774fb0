import { nearestHint } from "../../conf/nearest.ts";
import { parseCollectConfig } from "../../conf/parse-collect-config.ts";
import { CommandFailed } from "../usage-error.ts";
import { CONFIG_KEY, STATUS_KEY } from "./report.ts";

/** Whether a key is an agent's collect config: its last name says so. */
export function isConfigKey(key: string): boolean {
  return key.endsWith(`/${CONFIG_KEY}`);
}

/** The status key of the agent whose collect config `configKey` is. */
export function statusKeyOf(configKey: string): string {
  return configKey.slice(0, -CONFIG_KEY.length) + STATUS_KEY;
}

/** Throws CodedError "EBADCONFIG" unless `value` is a collect config, so that a typo is seen where it is made. */
export function checkConfig(value: Uint8Array): void {
  parseCollectConfig(value);
}

/** Throws CommandFailed when the config has a field that the agent it is for does not know. */
export function checkKnownFields(
  value: Uint8Array,
  agent: { readonly ip: string; readonly version: string; readonly knownFields: readonly string[] },
): void {
  const entries: unknown = JSON.parse(Buffer.from(value).toString("utf8"));
  if (!Array.isArray(entries)) return;
  for (const [index, entry] of entries.entries()) {
    const unknown = Object.keys(entry).find((field) => !agent.knownFields.includes(field));
    if (unknown === undefined) continue;
    throw new CommandFailed(
      `entry ${index + 1} has the field "${unknown}", which agent ${agent.ip} (version ${agent.version}) does not know` +
        nearestHint(unknown, agent.knownFields),
    );
  }
}
