import { z } from "zod";

const ms = (fallback: number) => z.number().positive().default(fallback);

/** Limits of the store's client; the one place of their defaults. Times are in milliseconds. */
export const clientLimitsSchema = z.strictObject({
  /** To reach one endpoint: name, TCP, TLS, HTTP/2. */
  dialTimeoutMs: ms(2_000),
  /** For one endpoint to answer a request; then another endpoint is asked, where asking again is safe. */
  tryTimeoutMs: ms(5_000),
  /** For a call with all its tries and waits. */
  callTimeoutMs: ms(10_000),
  /** Tries of one call after the first. */
  retriesMax: z.int().min(0).default(100),
  /** Waits between rounds over the endpoints: full jitter below a ceiling that doubles from the first to the second. */
  backoffBaseMs: ms(100),
  backoffMaxMs: ms(10_000),
  /** A connection that was silent for so long is asked whether it lives (HTTP/2 ping), while a request or a watch is open. etcd refuses less than 5 s. */
  keepAliveTimeMs: ms(30_000),
  /** How long it has for the answer, before it is given up. */
  keepAliveTimeoutMs: ms(10_000),
});

export type ClientLimits = z.output<typeof clientLimitsSchema>;
