import { readFile } from "node:fs/promises";
import type { Command } from "commander";
import type { StoreClientOptions } from "../store/client/client.ts";
import { formatDuration, parseDuration } from "./go-text.ts";
import type { Io } from "./io.ts";
import { UsageError } from "./usage-error.ts";

/** Names, meanings and defaults are etcdctl's; each can come from `ETCDCTL_<NAME>` too, where the flag wins. */
export interface GlobalOptions {
  readonly endpoints: string;
  readonly writeOut: string;
  readonly hex: boolean;
  readonly debug: boolean;
  readonly dialTimeout: string;
  readonly commandTimeout: string;
  readonly keepaliveTime: string;
  readonly keepaliveTimeout: string;
  readonly insecureTransport: boolean;
  readonly insecureSkipTlsVerify: boolean;
  readonly cacert: string;
  readonly cert: string;
  readonly key: string;
  readonly user: string;
  readonly password: string;
}

/** etcd cuts off a client that asks more often than its limit; Go's clients ask no more often than this. */
const KEEP_ALIVE_MIN_MS = 10_000;

/** A person waits: within the command's few seconds it tries often. */
const BACKOFF_MAX_MS = 500;

const ENV_PREFIX = "ETCDCTL_";

export function addGlobalOptions(program: Command): void {
  program
    .option("--endpoints <list>", "gRPC endpoints, separated by commas", "127.0.0.1:2379")
    .option("-w, --write-out <format>", "output format (fields, json, simple, table)", "simple")
    .option("--hex", "print byte strings and ids in hexadecimal", false)
    .option("--debug", "tell on stderr how the connection fares", false)
    .option("--dial-timeout <duration>", "time to reach one endpoint", "2s")
    .option("--command-timeout <duration>", "time for a command with all its tries", "5s")
    .option(
      "--keepalive-time <duration>",
      "silence after which a connection is asked whether it lives (at least 10s)",
      "2s",
    )
    .option("--keepalive-timeout <duration>", "time for its answer", "6s")
    .option("--insecure-transport", "no TLS where an endpoint names no scheme", true)
    .option("--insecure-skip-tls-verify", "do not verify the store's certificate (for tests)", false)
    .option("--cacert <file>", "verify the store's certificate with this CA bundle", "")
    .option("--cert <file>", "the client's TLS certificate", "")
    .option("--key <file>", "the client's TLS key", "")
    .option("--user <name[:password]>", "sign in as this user", "")
    .option("--password <password>", "the user's password", "");
}

/** What the command line said; where it is silent, the environment; then the default. */
export function readGlobalOptions(program: Command, io: Io): GlobalOptions {
  for (const option of program.options) {
    const name = option.attributeName();
    const value = io.env[`${ENV_PREFIX}${option.long?.slice(2).toUpperCase().replaceAll("-", "_")}`];
    if (value === undefined || value === "" || program.getOptionValueSource(name) === "cli") continue;
    program.setOptionValueWithSource(name, option.isBoolean() ? parseBoolean(value) : value, "env");
  }
  return program.opts<GlobalOptions>();
}

/** What the store's client is made with. Throws UsageError for values that make no sense. */
export async function clientOptions(options: GlobalOptions): Promise<StoreClientOptions> {
  const commandMs = duration(options, "commandTimeout");
  const tls = await tlsOptions(options);
  const credentials = credentialsOf(options);
  return {
    endpoints: endpointList(options),
    limits: {
      dialTimeoutMs: duration(options, "dialTimeout"),
      tryTimeoutMs: commandMs,
      callTimeoutMs: commandMs,
      backoffMaxMs: BACKOFF_MAX_MS,
      keepAliveTimeMs: Math.max(KEEP_ALIVE_MIN_MS, duration(options, "keepaliveTime")),
      keepAliveTimeoutMs: duration(options, "keepaliveTimeout"),
    },
    tls,
    ...(credentials === undefined ? {} : { credentials }),
  };
}

/** The endpoints as the user named them, with `https://` where TLS was asked for and none is named. */
export function endpointList(options: GlobalOptions): string[] {
  const secure = !options.insecureTransport || options.cacert !== "" || options.cert !== "";
  const list = options.endpoints.split(",").map((endpoint) => endpoint.trim());
  return list.map((endpoint) => (secure && !endpoint.includes("://") ? `https://${endpoint}` : endpoint));
}

/** A duration option in milliseconds, above zero. */
export function duration(
  options: GlobalOptions,
  name: "dialTimeout" | "commandTimeout" | "keepaliveTime" | "keepaliveTimeout",
): number {
  const flag = `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
  const text = options[name];
  const ms = (() => {
    try {
      return parseDuration(text);
    } catch (error) {
      if (!(error instanceof UsageError)) throw error;
      throw new UsageError(`invalid argument ${JSON.stringify(text)} for "${flag}" flag: ${error.message}`);
    }
  })();
  if (ms <= 0) {
    throw new UsageError(
      `invalid argument "${text}" for "${flag}" flag: ${formatDuration(ms)}, expected above 0s`,
    );
  }
  return ms;
}

async function tlsOptions(options: GlobalOptions): Promise<NonNullable<StoreClientOptions["tls"]>> {
  const file = async (flag: string, path: string) => {
    try {
      return path === "" ? undefined : await readFile(path);
    } catch (error) {
      throw new UsageError(`cannot read ${flag} ${path}: ${error instanceof Error ? error.message : error}`);
    }
  };
  const ca = await file("--cacert", options.cacert);
  const cert = await file("--cert", options.cert);
  const key = await file("--key", options.key);
  if ((cert === undefined) !== (key === undefined)) {
    throw new UsageError(`--cert and --key go together, got only ${cert === undefined ? "--key" : "--cert"}`);
  }
  return {
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
    skipVerify: options.insecureSkipTlsVerify,
  };
}

function credentialsOf(options: GlobalOptions): StoreClientOptions["credentials"] {
  if (options.user === "") return undefined;
  if (options.password !== "") return { user: options.user, password: options.password };
  const [user = "", ...rest] = options.user.split(":");
  if (rest.length === 0) {
    throw new UsageError(`--user ${user} has no password, expected --user ${user}:PASSWORD or --password`);
  }
  return { user, password: rest.join(":") };
}

function parseBoolean(text: string): boolean {
  return !["false", "0", "f"].includes(text.toLowerCase());
}
