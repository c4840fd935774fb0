/** What can be said about bytes on the peer port that are no member's. `head` is where they begin. */
export function describeStranger(head: Buffer): string {
  const text = head.toString("latin1");
  if (text.startsWith("PRI * HTTP/2"))
    return "an HTTP/2 client, as gRPC ones are: the client port is another one";
  if (isHttp(head)) return "an HTTP request";
  if (head[0] === 0x16 && head[1] === 0x03) return "a TLS client: TLS is not in this release";
  return head.length === 0 ? "nothing" : `bytes 0x${head.toString("hex")}`;
}

export function isHttp(head: Buffer): boolean {
  return /^(?:GET|POST|PUT|HEAD|DELETE|OPTIONS|PATCH|CONNECT|TRACE) /.test(head.toString("latin1"));
}

/** What a person who points a browser or `curl` at the port is told. */
export const HTTP_REFUSAL = Buffer.from(
  [
    "HTTP/1.1 400 Bad Request",
    "content-type: text/plain",
    "connection: close",
    "",
    "This port is for the members of the store. Clients use --listen-client-urls.",
    "",
  ].join("\r\n"),
);
