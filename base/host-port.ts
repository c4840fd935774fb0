/** A host, by name or by address, and a port. */
export interface HostPort {
  /** An IPv6 address without brackets. */
  readonly host: string;
  readonly port: number;
}

/** `127.0.0.1:2379`, `[::1]:2379`. */
export function hostPortText({ host, port }: HostPort): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

/** The inverse of {@link hostPortText}, for text that is known to be one. */
export function splitHostPort(text: string): HostPort {
  const colon = text.lastIndexOf(":");
  return { host: withoutBrackets(text.slice(0, colon)), port: Number(text.slice(colon + 1)) };
}

/** The host of a URL or of `host:port` by itself: brackets of an IPv6 address are taken off. */
export function withoutBrackets(host: string): string {
  return host.replace(/^\[|\]$/g, "");
}
