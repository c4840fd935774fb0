import { isIP } from "node:net";
import type { ConnectionOptions, SASLOptions } from "@platformatic/kafka";
import { type HostPort, hostPortText } from "../../../base/host-port.ts";
import { readTlsFiles } from "../../../base/tls-files.ts";
import type { SinkOptions } from "../options.ts";
import { BrokerSocket } from "./broker-socket.ts";
import { connectionError, tlsFileError } from "./kafka-errors.ts";

export const CLIENT_ID = "logagent";
const CONNECT_TIMEOUT_MS = 5_000;

/** Connects to brokers the way the options say: TLS files are read anew each time, so that renewed ones are used. */
export class Dialer {
  readonly #options: Pick<SinkOptions, "tls" | "sasl">;
  readonly #requestTimeoutMs: number;

  constructor(options: Pick<SinkOptions, "tls" | "sasl">, requestTimeoutMs: number) {
    this.#options = options;
    this.#requestTimeoutMs = requestTimeoutMs;
  }

  /** Rejects with DeliveryError. */
  async dial(address: HostPort): Promise<BrokerSocket> {
    // Loaded when it is needed: it takes half a second, which the other sinks need not pay.
    const { Connection } = await import("@platformatic/kafka");
    const connection = new Connection(CLIENT_ID, await this.#connectionOptions(address));
    // Without a listener an error event would end the process; the promise below tells of it.
    connection.on("error", () => undefined);
    try {
      await connection.connect(address.host, address.port);
      return new BrokerSocket(connection);
    } catch (error) {
      connection.socket?.destroy();
      throw connectionError(`Cannot connect to Kafka broker ${hostPortText(address)}`, error);
    }
  }

  async #connectionOptions(address: HostPort): Promise<ConnectionOptions> {
    const { tls, sasl } = this.#options;
    return {
      connectTimeout: CONNECT_TIMEOUT_MS,
      requestTimeout: this.#requestTimeoutMs,
      ...(tls.enabled ? { tls: await readTlsFiles(tls, tlsFileError) } : {}),
      // A server name is what a host is called; TLS allows no address in its place.
      ...(tls.enabled && isIP(address.host) === 0 ? { tlsServerName: address.host } : {}),
      ...(sasl.mechanism === "none" ? {} : { sasl: saslOptions(sasl) }),
    };
  }
}

function saslOptions(sasl: SinkOptions["sasl"]): SASLOptions {
  const mechanisms = {
    none: "PLAIN",
    plain: "PLAIN",
    "scram-sha-256": "SCRAM-SHA-256",
    "scram-sha-512": "SCRAM-SHA-512",
  } as const;
  return { mechanism: mechanisms[sasl.mechanism], username: sasl.username, password: sasl.password };
}
