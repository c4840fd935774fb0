import { Counter, collectDefaultMetrics, Gauge, Registry } from "prom-client";
import type { AgentView } from "./agent-view.ts";
import { taskMetricsText } from "./task-metrics.ts";

/** What `/metrics` serves. The names are stable. */
export interface AgentMetrics {
  /** Content type of {@link AgentMetrics.text}. */
  readonly contentType: string;
  /** Prometheus text, as of now. */
  text(): Promise<string>;
  /** A failed attempt to deliver. */
  countSinkError(event: { readonly topic: string; readonly code: string }): void;
}

/** Metrics that look at the agent when they are asked for, in a registry of their own. */
export function createMetrics(view: AgentView): AgentMetrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  addGauge(registry, {
    name: "logagent_config_revision_applied",
    help: "Revision of the collect config that runs; 0: none",
    of: () => view.config().applied?.revision ?? 0,
  });
  addGauge(registry, {
    name: "logagent_config_revision_failed",
    help: "Newest revision of the collect config, when it was refused; 0: it was not",
    of: () => view.config().failed?.revision ?? 0,
  });
  addGauge(registry, {
    name: "logagent_in_flight_bytes",
    help: "Bytes of files that are read and not acknowledged",
    of: () => view.inFlight().inFlightBytes,
  });
  addGauge(registry, {
    name: "logagent_in_flight_held_bytes",
    help: "Memory charged for them, framing included; reading waits at logagent_in_flight_limit_bytes",
    of: () => view.inFlight().heldBytes,
  });
  addGauge(registry, {
    name: "logagent_in_flight_limit_bytes",
    help: "Limit of logagent_in_flight_held_bytes: memory.maxInFlightBytes, or less near memory.max",
    of: () => view.inFlight().limitBytes,
  });
  addGauge(registry, {
    name: "logagent_memory_limit_bytes",
    help: "Limit of the resident memory (process_resident_memory_bytes); 0: none",
    of: () => view.memory()?.limitBytes ?? 0,
  });
  addGauge(registry, {
    name: "logagent_reading_share",
    help: "Part of its budget of memory that reading gets: 1 all of it, 0 nothing is read",
    of: () => view.memory()?.readingShare ?? 1,
  });
  const sinkErrors = new Counter({
    name: "logagent_sink_errors_total",
    help: "Failed attempts to deliver; each is tried again",
    labelNames: ["topic", "code"],
    registers: [registry],
  });
  return {
    contentType: registry.contentType,
    text: async () => `${await registry.metrics()}\n${taskMetricsText(view.tasks())}`,
    countSinkError: (event) => sinkErrors.inc({ topic: event.topic, code: event.code }),
  };
}

function addGauge(
  registry: Registry,
  figure: { readonly name: string; readonly help: string; readonly of: () => number },
): void {
  new Gauge({
    name: figure.name,
    help: figure.help,
    registers: [registry],
    collect() {
      this.set(figure.of());
    },
  });
}
