import { Counter, collectDefaultMetrics, Gauge, Registry } from "prom-client";
import type { TaskStatus } from "../task/types.ts";
import type { AgentView } from "./agent-view.ts";

/** What `/metrics` serves. The names are stable. */
export interface AgentMetrics {
  /** Content type of {@link AgentMetrics.text}. */
  readonly contentType: string;
  /** Prometheus text, as of now. */
  text(): Promise<string>;
  /** A failed attempt to deliver. */
  countSinkError(event: { readonly topic: string; readonly code: string }): void;
}

type TaskLabel = "entry" | "topic";

interface TaskFigure {
  readonly name: string;
  readonly help: string;
  readonly kind: "counter" | "gauge";
  readonly of: (task: TaskStatus) => number;
}

/** One series a task; never one a file, of which there may be millions over time. */
const TASK_FIGURES: readonly TaskFigure[] = [
  {
    name: "logagent_bytes_behind",
    help: "Size of the files minus what is acknowledged",
    kind: "gauge",
    of: (task) => task.bytesBehind,
  },
  {
    name: "logagent_oldest_unacked_age_seconds",
    help: "Age of the oldest byte that was read and is not acknowledged",
    kind: "gauge",
    of: (task) => task.oldestUnackedAgeMs / 1000,
  },
  {
    name: "logagent_bytes_read_total",
    help: "Bytes read from files",
    kind: "counter",
    of: (task) => task.bytesRead,
  },
  {
    name: "logagent_bytes_acked_total",
    help: "Bytes of files that are durable at the destination",
    kind: "counter",
    of: (task) => task.bytesAcked,
  },
  {
    name: "logagent_lines_acked_total",
    help: "Lines that are durable at the destination",
    kind: "counter",
    of: (task) => task.linesAcked,
  },
  {
    name: "logagent_bytes_lost_total",
    help: "Bytes that were gone before they could be shipped",
    kind: "counter",
    of: (task) => task.bytesLost,
  },
  {
    name: "logagent_dead_letters_total",
    help: "Lines that the destination refused for good",
    kind: "counter",
    of: (task) => task.linesRejected,
  },
  { name: "logagent_open_files", help: "Files held open", kind: "gauge", of: (task) => task.openFiles },
  {
    name: "logagent_held_deleted_bytes",
    help: "Bytes of deleted files that are held until they are acknowledged",
    kind: "gauge",
    of: (task) => task.heldDeletedBytes,
  },
];

/** Metrics that look at the agent when they are asked for, in a registry of their own. */
export function createMetrics(view: AgentView): AgentMetrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  for (const figure of TASK_FIGURES) addTaskFigure(registry, figure, view);
  addConfigGauge(registry, {
    name: "logagent_config_revision_applied",
    help: "Revision of the collect config that runs; 0: none",
    of: () => view.config().applied?.revision ?? 0,
  });
  addConfigGauge(registry, {
    name: "logagent_config_revision_failed",
    help: "Newest revision of the collect config, when it was refused; 0: it was not",
    of: () => view.config().failed?.revision ?? 0,
  });
  const sinkErrors = new Counter({
    name: "logagent_sink_errors_total",
    help: "Failed attempts to deliver; each is tried again",
    labelNames: ["topic", "code"],
    registers: [registry],
  });
  return {
    contentType: registry.contentType,
    text: () => registry.metrics(),
    countSinkError: (event) => sinkErrors.inc({ topic: event.topic, code: event.code }),
  };
}

function addTaskFigure(registry: Registry, figure: TaskFigure, view: AgentView): void {
  const options = {
    name: figure.name,
    help: figure.help,
    labelNames: ["entry", "topic"] as const,
    registers: [registry],
  };
  // Counts live in the tasks: each scrape takes them over as they are.
  const takeOver = (
    metric: { reset(): void },
    add: (labels: Record<TaskLabel, string>, value: number) => void,
  ) => {
    metric.reset();
    for (const task of view.tasks()) add({ entry: task.path, topic: task.topic }, figure.of(task));
  };
  if (figure.kind === "counter") {
    new Counter<TaskLabel>({
      ...options,
      collect() {
        takeOver(this, (labels, value) => this.inc(labels, value));
      },
    });
    return;
  }
  new Gauge<TaskLabel>({
    ...options,
    collect() {
      takeOver(this, (labels, value) => this.set(labels, value));
    },
  });
}

function addConfigGauge(
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
