import { lookup } from "node:dns/promises";
import type { Lookup } from "../membership/same-urls.ts";

/** The first address of a host name, as the machine resolves it. */
export const lookUp: Lookup = async (host, { signal }) => {
  const { address } = await lookup(host);
  signal.throwIfAborted();
  return address;
};
