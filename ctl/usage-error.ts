/** The command was called wrongly: exit code 2. The message is etcdctl's where it has one. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

/** The command did not do what it was asked for, and says why: exit code 1. */
export class CommandFailed extends Error {
  override readonly name = "CommandFailed";
}
