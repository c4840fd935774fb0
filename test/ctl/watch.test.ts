import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";
import { StoreClient } from "../../store/client/client.ts";
import { type RunningStore, STORES } from "../store/client/stores.ts";
import { etcdProgram } from "../support/etcd.ts";
import { eventually, startProcess } from "../support/process.ts";
import { logctl } from "./run-logctl.ts";

const signal = AbortSignal.timeout(120_000);
/** The value of the last event: when it was printed, all was. */
const LAST = "the-last-value";
const LAST_JSON = Buffer.from(LAST).toString("base64");

for (const { name, start } of STORES) {
  suite(`logctl watch against ${name}`, () => {
    let store: RunningStore;
    let client: StoreClient;
    let endpoint: string;

    before(async () => {
      store = await start();
      endpoint = store.endpoint;
      client = StoreClient.create({ endpoints: [endpoint] });
      await client.put("h/1", "one", { signal });
      await client.put("h/1", "two", { signal });
      await client.delete("h/1", { signal });
      await client.put("h/2", '<&>"\n\u00e9', { signal });
      await client.put("h/3", LAST, { signal });
    });
    after(async () => {
      client.close();
      await store[Symbol.asyncDispose]();
    });

    /** What a command printed by the time that it had printed `until`. */
    async function untilPrinted(args: readonly string[], until: string, stdin = ""): Promise<string> {
      const enough = new AbortController();
      const onOut = (soFar: string) => {
        if (soFar.includes(until)) enough.abort();
      };
      const { code, stdout } = await logctl(args, { endpoint, stdin, signal: enough.signal, onOut });
      assert.equal(code, 0, "an interrupted watch is done");
      return stdout.toString();
    }

    for (const format of ["simple", "json", "fields"]) {
      test(`prints history as etcdctl does, as ${format}`, async () => {
        const args = ["watch", "--rev", "2", "--prefix", "h/", "--prev-kv", "-w", format];
        await using reference = await startProcess(await etcdProgram("etcdctl"), args, {
          env: { ETCDCTL_ENDPOINTS: endpoint },
        });
        const until = format === "json" ? LAST_JSON : LAST;
        const ours = await untilPrinted(args, until);
        await eventually(() => assert.equal(ours, reference.output()));
      });
    }

    test("prints what happens from now on", async () => {
      let done = false;
      const printed = untilPrinted(["watch", "now", "--prev-kv"], "DELETE\nnow\nlater\n").finally(() => {
        done = true;
      });
      // The watch begins when the store has it: what is written before is not for it.
      while (!done) {
        await client.put("now", "later", { signal });
        await client.delete("now", { signal });
      }
      assert.match(await printed, /DELETE\nnow\nlater\nnow\n\n/);
    });

    test("runs a command for each event, with the event in its environment", async () => {
      const script = 'echo "$ETCD_WATCH_EVENT_TYPE $ETCD_WATCH_KEY $ETCD_WATCH_VALUE $ETCD_WATCH_REVISION"';
      const args = ["watch", "h/3", "--rev", "2", "--", "sh", "-c", script];
      const printed = await untilPrinted(args, `"PUT" "h/3" "${LAST}"`);
      assert.match(printed, new RegExp(`^PUT\nh/3\n${LAST}\n"PUT" "h/3" "${LAST}" \\d+\n$`));
    });

    test("ends with 1 when the command for an event fails", async () => {
      const args = ["watch", "h/3", "--rev", "2", "--", "sh", "-c", "exit 3"];
      const { code, stderr } = await logctl(args, { endpoint });
      assert.deepEqual([code, stderr], [1, "Error: command [sh -c exit 3] error (exit status 3)\n"]);
    });

    test("takes the key from the environment, and refuses two of them", async () => {
      const env = { ETCDCTL_WATCH_KEY: "h/3" };
      const enough = new AbortController();
      const onOut = (soFar: string) => soFar.includes(LAST) && enough.abort();
      const { stdout } = await logctl(["watch", "--rev=2"], { endpoint, env, signal: enough.signal, onOut });
      assert.equal(stdout.toString(), `PUT\nh/3\n${LAST}\n`);
      const twice = await logctl(["watch", "h/3"], { endpoint, env });
      assert.equal(twice.code, 2);
      assert.match(twice.stderr, /^Error: bad number of arguments \(found conflicting environment key\)\n$/);
      const alone = await logctl(["watch"], { endpoint, env: { ETCDCTL_WATCH_RANGE_END: "b" } });
      assert.match(alone.stderr, /ETCDCTL_WATCH_KEY is empty but got ETCDCTL_WATCH_RANGE_END="b"/);
    });

    test("-i watches what each line of the input says, and ends with the input", async () => {
      const stdin = "watch --rev 2 h/3\nfrob\nwatch 'h/1' --rev=2 --prev-kv\n";
      const { code, stderr } = await logctl(["watch", "-i"], { endpoint, stdin });
      assert.equal(code, 1);
      assert.match(stderr, /^Invalid command frob \(only support watch\)\n/);
      assert.match(stderr, /Error: error reading watch request line: EOF\n$/);
    });
  });
}
