import type { Command } from "commander";
import { systemClock } from "../../base/clock.ts";
import type { StoreClient } from "../../store/client/client.ts";
import { ClientError } from "../../store/client/client-error.ts";
import { countOption } from "../count-option.ts";
import type { EndpointHash, EndpointHealth, EndpointStatus } from "../format/format.ts";
import { endpointList } from "../global-options.ts";
import { printedCause } from "../printed-error.ts";
import type { Session } from "../session.ts";
import { CommandFailed } from "../usage-error.ts";

/** `endpoint status | health | hashkv`, each endpoint asked for itself. */
export function addEndpoint(program: Command, session: Session): void {
  const endpoint = program
    .command("endpoint")
    .description("Endpoint related commands")
    .option("--cluster", "all endpoints of the member list", false);
  endpoint
    .command("status")
    .description("Prints out the status of endpoints")
    .action(() => printStatus(session, endpoint));
  endpoint
    .command("health")
    .description("Checks the healthiness of endpoints")
    .action(() => printHealth(session, endpoint));
  const hashkv = endpoint
    .command("hashkv")
    .description("Prints the hash of the key-value history of endpoints")
    .option("--rev <n>", "up to this revision", countOption, 0);
  hashkv.action(() => printHash(session, endpoint, hashkv.opts<{ readonly rev: number }>().rev));
}

async function printStatus(session: Session, command: Command): Promise<void> {
  const write = session.writer("endpointStatus");
  const list: EndpointStatus[] = [];
  const ask = async (client: StoreClient, endpoint: string) => {
    list.push({ endpoint, status: await client.status(endpoint, { signal: session.signal }) });
  };
  const failures = await askEach(session, command, { what: "status", ask });
  write(list);
  if (failures.length > 0) session.exitCode = 1;
}

async function printHash(session: Session, command: Command, revision: number): Promise<void> {
  const write = session.writer("endpointHash");
  const list: EndpointHash[] = [];
  const ask = async (client: StoreClient, endpoint: string) => {
    list.push({ endpoint, hash: await client.hashKv(endpoint, { revision, signal: session.signal }) });
  };
  const failures = await askEach(session, command, { what: "hash", ask });
  write(list);
  const last = failures.at(-1);
  if (last !== undefined) throw new CommandFailed(last);
}

async function printHealth(session: Session, command: Command): Promise<void> {
  const write = session.writer("endpointHealth");
  const endpoints = await endpointsOf(session, command);
  const list = await Promise.all(endpoints.map((endpoint) => health(session, endpoint)));
  write(list);
  if (list.some((one) => !one.healthy)) throw new CommandFailed("unhealthy cluster");
}

/** Asks one endpoint after the other; returns what to print about those that failed, which is also told at once. */
async function askEach(
  session: Session,
  command: Command,
  question: {
    readonly what: "status" | "hash";
    readonly ask: (client: StoreClient, endpoint: string) => Promise<void>;
  },
): Promise<string[]> {
  const failures: string[] = [];
  for (const endpoint of await endpointsOf(session, command)) {
    const client = await session.client(endpoint);
    try {
      await question.ask(client, endpoint);
    } catch (error) {
      if (!(error instanceof ClientError)) throw error;
      const reason = printedCause(error);
      failures.push(reason);
      session.io.err(`Failed to get the ${question.what} of endpoint ${endpoint} (${reason})\n`);
    }
  }
  return failures;
}

/** Healthy: a linearizable read went through, and there is no alarm. */
async function health(session: Session, endpoint: string): Promise<EndpointHealth> {
  const { signal } = session;
  const client = await session.client(endpoint);
  const startMs = systemClock.monotonicMs();
  const failure = await failureOf(() => client.get("health", { signal }));
  const tookMs = systemClock.monotonicMs() - startMs;
  const denied = failure?.detail === "etcdserver: permission denied";
  if (failure !== undefined && !denied) {
    return { endpoint, healthy: false, tookMs, error: printedCause(failure) };
  }
  const alarms: string[] = [];
  const alarmFailure = await failureOf(async () => {
    const result = await client.alarms({ signal });
    alarms.push(...result.alarms.map((alarm) => alarm.type));
  });
  if (alarmFailure !== undefined) {
    return { endpoint, healthy: false, tookMs, error: "Unable to fetch the alarm list" };
  }
  const error = alarms.length === 0 ? "" : `Active Alarm(s): ${alarms.map((alarm) => `${alarm} `).join("")}`;
  return { endpoint, healthy: error === "", tookMs, error };
}

async function failureOf(act: () => Promise<unknown>): Promise<ClientError | undefined> {
  try {
    await act();
    return undefined;
  } catch (error) {
    if (error instanceof ClientError) return error;
    throw error;
  }
}

async function endpointsOf(session: Session, command: Command): Promise<string[]> {
  if (!command.opts<{ readonly cluster: boolean }>().cluster) return endpointList(session.options);
  const client = await session.client();
  const { members } = await client.memberList({ signal: session.signal });
  return members.flatMap((member) => member.clientUrls);
}
