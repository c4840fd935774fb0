import { agentConfigSchema } from "../../../conf/agent-config.ts";
import type { SinkOptions } from "../../../logagent/sink/options.ts";

/** Those of an agent whose config says nothing of its sink, but for what the test says. */
export function sinkOptions(more: Partial<SinkOptions> = {}): SinkOptions {
  return { ...agentConfigSchema.parse({}).sink, compression: "none", path: "/nowhere", ...more };
}
