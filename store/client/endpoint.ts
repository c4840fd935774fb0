import { CodedError } from "../../base/errors.ts";

/** Where a member of the store listens for clients. */
export interface Endpoint {
  /** As the user wrote it; logs and messages show this. */
  readonly text: string;
  /** "host:port", an IPv6 address in brackets. */
  readonly address: string;
  readonly tls: boolean;
}

/**
 * Reads `host:port`, `http://host:port` or `https://host:port`. Throws CodedError "EINVAL" that says what is wrong with
 * it; nothing is resolved or connected.
 */
export function parseEndpoint(text: string): Endpoint {
  const [, scheme = "", rest = ""] = /^(?:([a-z+]+):\/\/)?(.*)$/is.exec(text.trim()) ?? [];
  const known = ["", "http", "https"];
  if (!known.includes(scheme.toLowerCase())) {
    throw invalid(text, `scheme "${scheme}", expected http or https`);
  }
  const parts = /^(\[[0-9a-f:.%]+\]|[^:/[\]\s]+):(\d+)\/?$/i.exec(rest);
  const [, host, port] = parts ?? [];
  if (host === undefined) throw invalid(text, "expected host:port, http://host:port or https://host:port");
  if (Number(port) < 1 || Number(port) > 65_535) throw invalid(text, `port ${port}, expected 1 to 65535`);
  return { text, address: `${host}:${Number(port)}`, tls: scheme.toLowerCase() === "https" };
}

function invalid(text: string, problem: string): CodedError<"EINVAL"> {
  return new CodedError("EINVAL", `Cannot use store endpoint "${text}": ${problem}`);
}
