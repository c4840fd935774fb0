/**
 * The times that the kernel gives to files go on in steps, by no more than this (10 ms where it counts 100 a second, and the
 * turn of who asks). What happens twice in one step shows once.
 */
export const KERNEL_TICK_MS = 20;

/** As the kernel says times. */
export const NS_PER_MS = 1_000_000n;
