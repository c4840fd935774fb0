import { type KafkaServer, publishSharedKafka, startKafka } from "./kafka.ts";

let kafka: KafkaServer | undefined;

/** Runs once before the test files of `npm test`, in the process that starts them. */
export async function globalSetup(): Promise<void> {
  kafka = await startKafka();
  publishSharedKafka(kafka);
}

/** Runs once after the last test file. */
export async function globalTeardown(): Promise<void> {
  await kafka?.stop();
}
