/** Runs `work` in a later turn of the event loop: a port, so that a simulation decides when that is. */
export type Later = (work: () => void) => void;

/** Node's own: after the events that are there have been taken in. */
export const systemLater: Later = (work) => {
  setImmediate(work);
};
