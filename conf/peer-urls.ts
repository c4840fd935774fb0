/**
 * Reads the peer URLs of one member: trimmed and sorted, or what is wrong with the first bad one, in etcd's words (etcd
 * client/pkg/types NewURLs).
 */
export function parsePeerUrls(
  texts: readonly string[],
): { readonly urls: readonly string[] } | { readonly problem: string } {
  if (texts.length === 0) return { problem: "no valid URLs given" };
  const urls = texts.map((text) => text.trim());
  for (const url of urls) {
    const problem = urlProblem(url);
    if (problem !== undefined) return { problem };
  }
  return { urls: urls.sort() };
}

function urlProblem(url: string): string | undefined {
  const [, scheme, rest = ""] = /^(?:([a-zA-Z][a-zA-Z0-9+.-]*):)?(.*)$/s.exec(url) ?? [];
  if (scheme === "unix" || scheme === "unixs") return undefined;
  if (scheme !== "http" && scheme !== "https") {
    return `URL scheme must be http, https, unix, or unixs: ${url}`;
  }
  const [, hostPort = "", path = ""] = /^\/\/([^/?#]*)(.*)$/s.exec(rest) ?? [];
  if (!HOST_PORT.test(hostPort)) return `URL address does not have the form "host:port": ${url}`;
  return path === "" ? undefined : `URL must not contain a path: ${url}`;
}

const HOST_PORT = /^(?:\[[0-9a-fA-F:.]+(?:%[^\]]*)?\]|[^:[\]@\s]*):\d{1,5}$/;

/** What {@link parsePeerUrls} does, for URLs that this release talks to members by. */
export function parseOwnPeerUrls(texts: readonly string[]): ReturnType<typeof parsePeerUrls> {
  const parsed = parsePeerUrls(texts);
  if ("problem" in parsed) return parsed;
  const refused = parsed.urls.find((url) => !url.startsWith("http:"));
  if (refused === undefined) return parsed;
  const what = refused.startsWith("https:") ? "TLS is" : "sockets on the file system are";
  return { problem: `${what} not in this release: ${refused}` };
}
