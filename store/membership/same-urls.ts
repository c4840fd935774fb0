import { errorMessage } from "../../base/errors.ts";
import { withoutBrackets } from "../../base/host-port.ts";

/** Gives the IP address of a host name; rejects, after trying for as long as makes sense, when there is none. */
export type Lookup = (host: string, options: { readonly signal: AbortSignal }) => Promise<string>;

/**
 * Whether two lists of URLs are the same places, in any order: as they are written, or else once host names are resolved.
 * `reason`: why they are not, in etcd's words (etcd pkg/netutil URLStringsEqual).
 */
export async function sameUrls(
  one: readonly string[],
  other: readonly string[],
  options: { readonly lookup: Lookup; readonly signal: AbortSignal },
): Promise<{ readonly same: true } | { readonly same: false; readonly reason: string }> {
  if (one.length !== other.length) {
    return { same: false, reason: `len(${quotedList(one)}) != len(${quotedList(other)})` };
  }
  if (differing(sortedPlaces(one), sortedPlaces(other)) === undefined) return { same: true };
  let resolved: string[][];
  try {
    resolved = await Promise.all(
      [one, other].map((urls) => Promise.all(urls.map((url) => resolve(url, options)))),
    );
  } catch (error) {
    options.signal.throwIfAborted();
    return { same: false, reason: errorMessage(error) };
  }
  const [first = [], second = []] = resolved.map((urls) => sortedPlaces(urls));
  const at = differing(first, second);
  if (at === undefined) return { same: true };
  return { same: false, reason: `resolved urls: "${first[at]}" != "${second[at]}"` };
}

/** As Go writes %q of a list of texts. */
function quotedList(texts: readonly string[]): string {
  return `[${texts.map((text) => `"${text}"`).join(" ")}]`;
}

function differing(one: readonly string[], other: readonly string[]): number | undefined {
  const at = one.findIndex((url, index) => url !== other[index]);
  return at === -1 ? undefined : at;
}

function sortedPlaces(urls: readonly string[]): string[] {
  return urls.map((url) => withHost(url, canonicalHost(hostOf(url)))).sort();
}

async function resolve(
  url: string,
  { lookup, signal }: { readonly lookup: Lookup; readonly signal: AbortSignal },
): Promise<string> {
  const host = hostOf(url);
  if (host === "localhost" || isAddress(host)) return url;
  try {
    return withHost(url, await lookup(host, { signal }));
  } catch (error) {
    throw new Error(`failed to resolve "${url}" (${errorMessage(error)})`, { cause: error });
  }
}

const URL_PARTS = /^(\w+:\/\/)(\[[^\]]*\]|[^:]*)(:\d+)$/;

/** Without brackets. */
function hostOf(url: string): string {
  return withoutBrackets(URL_PARTS.exec(url)?.[2] ?? "");
}

function withHost(url: string, host: string): string {
  return url.replace(URL_PARTS, (_, scheme: string, __, port: string) => {
    return `${scheme}${host.includes(":") ? `[${host}]` : host}${port}`;
  });
}

function isAddress(host: string): boolean {
  return host.includes(":") || /^\d+(?:\.\d+){3}$/.test(host);
}

/** An IPv6 address has many spellings. */
function canonicalHost(host: string): string {
  if (!host.includes(":")) return host;
  return URL.canParse(`http://[${host}]`) ? new URL(`http://[${host}]`).hostname.slice(1, -1) : host;
}
