import { SharedPromise } from "../../../base/shared-promise.ts";
import type { ProducerIdentity } from "../destination.ts";

/** The producer ids of a sink: one that its partitions share, and others for those that cannot go on with it. */
export class ProducerIds {
  readonly #newId: () => Promise<ProducerIdentity>;
  readonly #shared: SharedPromise<ProducerIdentity>;

  /** `newId` asks the brokers; rejects with DeliveryError. */
  constructor(newId: () => Promise<ProducerIdentity>) {
    this.#newId = newId;
    this.#shared = new SharedPromise(newId);
  }

  /** One that nobody has sent with. Rejects with DeliveryError. */
  fresh(): Promise<ProducerIdentity> {
    return this.#newId();
  }

  /** The same for all who ask. Rejects with DeliveryError; then the next one asks anew. */
  shared(): Promise<ProducerIdentity> {
    return this.#shared.get();
  }
}
