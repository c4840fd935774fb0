import { readFile } from "node:fs/promises";
import { errorMessage } from "../../../base/errors.ts";
import { DeliveryError } from "../destination.ts";
import type { SinkOptions } from "../options.ts";

/** Contents of PEM files, as Node's TLS takes them. */
export interface TlsFiles {
  readonly ca?: Buffer;
  readonly cert?: Buffer;
  readonly key?: Buffer;
}

/** Reads the files that the options name. Rejects with DeliveryError "ETLSFILE", which names option and file. */
export async function readTlsFiles(tls: SinkOptions["tls"]): Promise<TlsFiles> {
  const read = async (name: keyof TlsFiles) => {
    const path = tls[name];
    if (path === undefined) return {};
    try {
      return { [name]: await readFile(path) };
    } catch (error) {
      throw new DeliveryError("ETLSFILE", `Cannot read sink.tls.${name} ${path}: ${errorMessage(error)}`, {
        remedy: "slow",
        cause: error,
      });
    }
  };
  return { ...(await read("ca")), ...(await read("cert")), ...(await read("key")) };
}
