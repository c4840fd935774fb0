import { CodedError, errorMessage } from "../base/errors.ts";
import type { Logger } from "../base/log.ts";
import { readTlsFiles, type TlsFileProblem } from "../base/tls-files.ts";
import type { AgentConfig } from "../conf/agent-config.ts";
import { StoreClient } from "../store/client/client.ts";

/** The store's client as the agent's config wants it; connects to nothing yet. Throws CodedError "EBADCONFIG" for a PEM file. */
export async function openStoreClient(store: AgentConfig["store"], logger: Logger): Promise<StoreClient> {
  return StoreClient.create({
    endpoints: store.endpoints,
    tls: await readTlsFiles(store.tls, unreadable),
    ...(store.username !== "" && { credentials: { user: store.username, password: store.password } }),
    logger,
  });
}

function unreadable({ name, path, cause }: TlsFileProblem): CodedError {
  return new CodedError("EBADCONFIG", `Cannot read store.tls.${name} ${path}: ${errorMessage(cause)}`, {
    cause,
  });
}
