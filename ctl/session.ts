import type { Command } from "commander";
import { StoreClient } from "../store/client/client.ts";
import { fieldsFormat } from "./format/fields.ts";
import type { Format } from "./format/format.ts";
import { jsonFormat } from "./format/json.ts";
import { simpleFormat } from "./format/simple.ts";
import { tableFormat } from "./format/table.ts";
import { clientOptions, type GlobalOptions, readGlobalOptions } from "./global-options.ts";
import type { Io } from "./io.ts";
import { UsageError } from "./usage-error.ts";

const FORMATS = ["simple", "json", "fields", "table"] as const;
type FormatName = (typeof FORMATS)[number];

/** What the verbs of one run share: the options of the whole program, the client and the way results are written. */
export class Session implements Disposable {
  readonly io: Io;
  /** What follows `--` on a command line of `watch`: a command to run for each event. */
  readonly execArgs: readonly string[];
  readonly #program: Command;
  #options: GlobalOptions | undefined;
  #clients: StoreClient[] = [];
  /** What `main` returns when no verb throws. */
  exitCode = 0;

  constructor(program: Command, io: Io, execArgs: readonly string[] = []) {
    this.#program = program;
    this.io = io;
    this.execArgs = execArgs;
  }

  /** Of the whole program; to be read once the command line is parsed. */
  get options(): GlobalOptions {
    this.#options ??= readGlobalOptions(this.#program, this.io);
    return this.#options;
  }

  get signal(): AbortSignal {
    return this.io.signal;
  }

  get formatName(): FormatName {
    const name = FORMATS.find((format) => format === this.options.writeOut);
    if (name === undefined) {
      const known = FORMATS.join(", ");
      throw new UsageError(`unsupported output format "${this.options.writeOut}", expected one of ${known}`);
    }
    return name;
  }

  /** The writer of one kind of result. Asked for before anything is done: some formats have none for it. */
  writer<Kind extends keyof Format>(kind: Kind): Format[Kind] {
    const writer = this.#format()[kind];
    if (writer === undefined) throw new UsageError(`${this.formatName} not supported as output format`);
    return writer;
  }

  /** A client for all the endpoints, or for one. Closed with the session. */
  async client(endpoint?: string): Promise<StoreClient> {
    const options = await clientOptions(this.options);
    const { debug } = this.options;
    const client = StoreClient.create({
      ...options,
      ...(endpoint === undefined ? {} : { endpoints: [endpoint] }),
      onConnectionState: (state) => {
        if (debug) this.io.err(`${JSON.stringify(state)}\n`);
      },
    });
    this.#clients.push(client);
    return client;
  }

  /** Idempotent. */
  [Symbol.dispose](): void {
    for (const client of this.#clients) client.close();
    this.#clients = [];
  }

  #format(): Partial<Format> {
    const { out, err, isTerminal } = this.io;
    const { hex } = this.options;
    const name = this.formatName;
    switch (name) {
      case "simple":
        return simpleFormat({ out, err, hex, isTerminal });
      case "json":
        return jsonFormat({ out, hex, isTerminal });
      case "fields":
        return fieldsFormat({ out, hex, isTerminal });
      case "table":
        return tableFormat({ out, hex, isTerminal });
      default:
        return name satisfies never;
    }
  }
}
