import { nodeDisk } from "../../base/node-disk.ts";
import { BatchedSink } from "./batched-sink.ts";
import { DeadLetters } from "./dead-letters.ts";
import type { Destination } from "./destination.ts";
import { FileDestination } from "./file-destination.ts";
import { KafkaDestination } from "./kafka/kafka-destination.ts";
import { KafkajsDestination } from "./kafkajs/kafkajs-destination.ts";
import type { SinkDeps, SinkOptions } from "./options.ts";
import { refuseClosedStandardOutput } from "./standard-output.ts";
import { StreamDestination } from "./stream-destination.ts";

/**
 * The sink that the options name. Returns at once and connects to nothing: trouble with the destination shows in the status of
 * each topic, and is retried. Throws CodedError "ENOSTDOUT" for a standard output that leads nowhere.
 */
export function openSink(options: SinkOptions, deps: SinkDeps): BatchedSink {
  return new BatchedSink({
    destination: newDestination(options, deps),
    deps: { ...deps, deadLetters: openDeadLetters(options) },
    maxInFlightBytes: options.maxInFlightBytes,
  });
}

function openDeadLetters(options: SinkOptions): DeadLetters | undefined {
  const { deadLetterFolder: folder, maxDeadLetterBytes: bytesMax } = options;
  return folder === undefined ? undefined : new DeadLetters({ folder, disk: nodeDisk, bytesMax });
}

function newDestination(options: SinkOptions, deps: SinkDeps): Destination {
  switch (options.type) {
    case "kafka":
      return new KafkaDestination(options, deps);
    case "kafkajs":
      return new KafkajsDestination(options, deps);
    case "file":
      return new FileDestination({ folder: options.path, disk: nodeDisk });
    case "stdout":
      refuseClosedStandardOutput();
      return new StreamDestination(process.stdout, (error) => deps.observer?.onGone?.(error));
    default:
      return options.type satisfies never;
  }
}
