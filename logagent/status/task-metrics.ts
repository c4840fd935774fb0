import type { TaskStatus } from "../task/types.ts";

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
    name: "logagent_losses_of_unknown_extent_total",
    help: "Changes of files that may have taken along bytes which nobody has seen",
    kind: "counter",
    of: (task) => task.lossesUnknown,
  },
  {
    name: "logagent_dead_letters_total",
    help: "Lines that the destination refused for good",
    kind: "counter",
    of: (task) => task.linesRejected,
  },
  {
    name: "logagent_lines_cut_total",
    help: "Cuts in lines, or groups of lines, that are longer than their limit",
    kind: "counter",
    of: (task) => task.linesCut,
  },
  {
    name: "logagent_lines_truncated_total",
    help: "Lines longer than maxLineBytes that were shipped without their rest",
    kind: "counter",
    of: (task) => task.linesTruncated,
  },
  {
    name: "logagent_bytes_truncated_total",
    help: "Bytes of truncated lines that are not shipped",
    kind: "counter",
    of: (task) => task.bytesTruncated,
  },
  {
    name: "logagent_lines_dropped_total",
    help: "Records that include and exclude leave out",
    kind: "counter",
    of: (task) => task.linesDropped,
  },
  { name: "logagent_open_files", help: "Files held open", kind: "gauge", of: (task) => task.openFiles },
  {
    name: "logagent_closed_files",
    help: "Files that are not open, and watched by their names",
    kind: "gauge",
    of: (task) => task.closedFiles,
  },
  {
    name: "logagent_waiting_files",
    help: "Closed files that have something to ship, and wait for others to be closed",
    kind: "gauge",
    of: (task) => task.waitingFiles,
  },
  {
    name: "logagent_held_deleted_bytes",
    help: "Disk that deleted files take up until they are acknowledged, in bytes",
    kind: "gauge",
    of: (task) => task.heldDeletedBytes,
  },
];

/**
 * The tasks' figures as Prometheus text (exposition format 0.0.4). Written out here, for prom-client takes seconds for the
 * labels of thousands of tasks, and each scrape has them all.
 */
export function taskMetricsText(tasks: readonly TaskStatus[]): string {
  const labels = tasks.map((task) => `{entry="${escaped(task.path)}",topic="${escaped(task.topic)}"}`);
  const parts = TASK_FIGURES.map(({ name, help, kind, of }) => {
    const series = tasks.map((task, index) => `${name}${labels[index]} ${of(task)}\n`);
    return `# HELP ${name} ${help}\n# TYPE ${name} ${kind}\n${series.join("")}`;
  });
  return parts.join("\n");
}

function escaped(label: string): string {
  return label.replaceAll("\\", "\\\\").replaceAll("\n", "\\n").replaceAll('"', '\\"');
}
