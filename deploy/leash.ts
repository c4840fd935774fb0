import { type ChildProcess, spawn } from "node:child_process";
import { Socket } from "node:net";

/**
 * Reads "add PID" and "drop PID" until its input ends, and then kills what is left. Its input ends when the process that
 * holds the other end is gone, however that happened: SIGKILL and a crash run no exit handler.
 */
const SCRIPT = `
trap '' INT TERM HUP
pids=
while read -r verb pid; do
  case $verb in
    add) pids="$pids $pid" ;;
    drop) rest=; for p in $pids; do [ "$p" = "$pid" ] || rest="$rest $p"; done; pids=$rest ;;
  esac
done
for p in $pids; do kill -9 "$p"; done
`;

let watchdog: ChildProcess | undefined;
const leashed = new Set<number>();

/** Makes sure that a process ends, at the latest when this one does. */
export function leash(pid: number): void {
  if (leashed.size === 0) process.once("exit", killAll);
  leashed.add(pid);
  tell(`add ${pid}\n`);
}

/** To be called when a leashed process has ended: its pid may soon be another's. */
export function unleash(pid: number): void {
  if (!leashed.delete(pid)) return;
  tell(`drop ${pid}\n`);
  if (leashed.size === 0) process.removeListener("exit", killAll);
}

function killAll(): void {
  for (const pid of leashed) {
    try {
      process.kill(pid, "SIGKILL");
    } catch (error) {
      // Gone already; the watchdog has the same list for the rest.
      if (!(error instanceof Error && "code" in error && error.code === "ESRCH")) throw error;
    }
  }
}

function tell(line: string): void {
  if (watchdog === undefined) {
    // A session of its own, so that Ctrl-C at the terminal reaches the test first and the watchdog last.
    watchdog = spawn("sh", ["-c", SCRIPT], { stdio: ["pipe", "ignore", "ignore"], detached: true });
    watchdog.unref();
    if (watchdog.stdin instanceof Socket) watchdog.stdin.unref();
  }
  watchdog.stdin?.write(line);
}
