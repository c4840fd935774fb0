import { readFile } from "node:fs/promises";
import { CodedError, errorMessage } from "../base/errors.ts";
import type { Logger } from "../base/log.ts";
import type { AgentConfig } from "../conf/agent-config.ts";
import { StoreClient } from "../store/client/client.ts";

/** The store's client as the agent's config wants it; connects to nothing yet. Throws CodedError "EBADCONFIG" for a PEM file. */
export async function openStoreClient(store: AgentConfig["store"], logger: Logger): Promise<StoreClient> {
  const [ca, cert, key] = await Promise.all([pem(store.tls.ca), pem(store.tls.cert), pem(store.tls.key)]);
  return StoreClient.create({
    endpoints: store.endpoints,
    tls: { ...(ca && { ca }), ...(cert && { cert }), ...(key && { key }) },
    ...(store.username !== "" && { credentials: { user: store.username, password: store.password } }),
    logger,
  });
}

async function pem(path: string | undefined): Promise<Buffer | undefined> {
  if (path === undefined) return undefined;
  try {
    return await readFile(path);
  } catch (error) {
    throw new CodedError("EBADCONFIG", `Cannot read store.tls file ${path}: ${errorMessage(error)}`, {
      cause: error,
    });
  }
}
