import { Metadata } from "@grpc/grpc-js";
import { backoffMs } from "../../base/backoff.ts";
import type { Clock } from "../../base/clock.ts";
import type { Random } from "../../base/random.ts";
import type { ClientLimits } from "../../conf/client-config.ts";
import type { AuthToken } from "./auth-token.ts";
import { ClientError } from "./client-error.ts";
import type { Connection } from "./connection.ts";
import type { Connections } from "./connections.ts";
import { type Failure, failureOf } from "./failure.ts";
import type { Method } from "./method.ts";

/** What every call of one client shares. */
export interface CallContext {
  readonly connections: Connections;
  readonly limits: ClientLimits;
  readonly clock: Clock;
  readonly random: Random;
  readonly auth: AuthToken | undefined;
}

export interface CallPlan {
  /** What is being done, for the message: "read key /a". */
  readonly what: string;
  /**
   * May the store be asked again when the answer got lost? Reads, and what twice does no harm. Everything else is sent
   * again only where it provably did not leave (etcd client `retry.go`: write at most once).
   */
  readonly repeatable: boolean;
  readonly signal: AbortSignal;
  /** Ask this connection and no other; the caller closes it. */
  readonly connection?: Connection;
}

/** What one try may use. */
export interface Try {
  readonly connection: Connection;
  readonly metadata: Metadata;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

/** One request, one answer, with retries as the plan allows. Throws ClientError, or the signal's reason. */
export function callUnary<Request, Response>(
  context: CallContext,
  method: Method<Request, Response>,
  request: Request,
  plan: CallPlan,
): Promise<Response> {
  return callWithRetries(context, plan, (attempt) => attempt.connection.unary(method, request, attempt));
}

/** Runs `attempt` at one endpoint after another until it succeeds, may not be repeated, or the limits are reached. */
export async function callWithRetries<Result>(
  context: CallContext,
  plan: CallPlan,
  attempt: (attempt: Try) => Promise<Result>,
): Promise<Result> {
  const { clock, connections, limits, random } = context;
  const endsAtMs = clock.monotonicMs() + limits.callTimeoutMs;
  const tried = new Map<string, string>();
  for (let tries = 0; ; tries++) {
    plan.signal.throwIfAborted();
    const connection = plan.connection ?? connections.current();
    const failure = await tryOnce(context, plan, { connection, endsAtMs, attempt });
    if ("result" in failure) return failure.result;
    tried.set(connection.endpoint.text, failure.detail);
    const leftMs = endsAtMs - clock.monotonicMs();
    const waitMs = backoffMs(Math.floor(tries / connections.endpointCount), backoffLimits(limits), random);
    if (failure.transient) {
      const { detail: reason, answered } = failure;
      connections.failed(connection, { reason, answered, retryInMs: waitMs });
    }
    const again = failure.transient && (plan.repeatable || !failure.left);
    if (!again || plan.connection?.closed || waitMs >= leftMs || tries >= limits.retriesMax) {
      throw clientError({ plan, failure, tried, endpoint: connection.endpoint.text });
    }
    await clock.sleep(waitMs, { signal: plan.signal });
  }
}

export function backoffLimits(limits: ClientLimits): { readonly baseMs: number; readonly maxMs: number } {
  return { baseMs: limits.backoffBaseMs, maxMs: limits.backoffMaxMs };
}

async function tryOnce<Result>(
  context: CallContext,
  plan: CallPlan,
  options: {
    readonly connection: Connection;
    readonly endsAtMs: number;
    readonly attempt: (attempt: Try) => Promise<Result>;
  },
): Promise<Failure | { readonly result: Result }> {
  const { connection, endsAtMs } = options;
  const { signal } = plan;
  const within = (limitMs: number) => Math.max(1, Math.min(limitMs, endsAtMs - context.clock.monotonicMs()));
  let begun = false;
  try {
    await connection.settled({ timeoutMs: within(context.limits.dialTimeoutMs), signal });
    const metadata = await callMetadata(context, { connection, signal });
    const timeoutMs = within(context.limits.tryTimeoutMs);
    begun = true;
    const result = await options.attempt({ connection, metadata, timeoutMs, signal });
    context.connections.succeeded(connection);
    return { result };
  } catch (error) {
    signal.throwIfAborted();
    const found = failureOf(error);
    // Signing in may have failed half-way; the request itself had not begun.
    const failure = { ...found, left: found.left && begun };
    if (!failure.transient) context.connections.succeeded(connection);
    if (failure.code === "Unauthenticated" && context.auth?.forget()) {
      return { ...failure, transient: true, left: false };
    }
    return failure;
  }
}

/** The headers of a call: the token, where the client signs in. */
export async function callMetadata(
  context: CallContext,
  options: { readonly connection: Connection; readonly signal: AbortSignal },
): Promise<Metadata> {
  const metadata = new Metadata();
  const token = await context.auth?.get({ ...options, timeoutMs: context.limits.tryTimeoutMs });
  if (token !== undefined) metadata.set("token", token);
  return metadata;
}

function clientError(options: {
  readonly plan: CallPlan;
  readonly failure: Failure;
  readonly tried: ReadonlyMap<string, string>;
  readonly endpoint: string;
}): ClientError {
  const { plan, failure, tried, endpoint } = options;
  const { code, detail, cause } = failure;
  const harmless = failure.transient && (plan.repeatable || !failure.left);
  const retryable = harmless || code === "TooManyRequests";
  const others = [...tried].map(([name, reason]) => `${name} (${reason})`).join(", ");
  const message = (() => {
    if (!failure.transient) return `Cannot ${plan.what} at ${endpoint}: ${detail}`;
    if (harmless) return `Cannot ${plan.what}: no endpoint answered; tried ${others}`;
    return `Cannot tell whether it was carried out: ${plan.what} at ${endpoint}: ${detail}; not sent again`;
  })();
  return new ClientError(code, message, { detail, retryable, cause });
}
