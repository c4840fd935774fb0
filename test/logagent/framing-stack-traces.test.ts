import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { FINAL_FLUSH } from "../../logagent/framing/types.ts";
import { entryOf, ship, values } from "./rules/pipeline-bed.ts";

/** Each string is one record. */
const logs: Readonly<Record<string, readonly string[]>> = {
  java: [
    "2030-01-02 03:04:05 INFO started",
    `2030-01-02 03:04:06 ERROR request failed
java.lang.IllegalStateException: no connection
\tat com.example.Pool.take(Pool.java:41)
\tat com.example.Server$Worker.run(Server.java:7) ~[app.jar:1.2]
Caused by: java.net.ConnectException: Connection refused
\tat java.base/sun.nio.ch.Net.connect0(Native Method)
\t... 12 more
\tSuppressed: java.io.IOException: closed
\t\tat com.example.Pool.close(Pool.java:90)
\t\t... 3 common frames omitted`,
    `Exception in thread "main" java.lang.NullPointerException
\tat com.example.Main.main(Main.java:3)`,
    "2030-01-02 03:04:07 INFO java.lang.String is a class",
    "2030-01-02 03:04:08 INFO at last",
  ],
  python: [
    `Traceback (most recent call last):
  File "<stdin>", line 1, in <module>
ZeroDivisionError: division by zero`,
    "INFO:root:started",
    `ERROR:root:request failed
Traceback (most recent call last):
  File "/srv/app.py", line 12, in handle
    return self.pool[key]
           ~~~~~~~~~^^^^^
KeyError: 'a'

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "/srv/app.py", line 14, in handle
    raise Trouble("no such key") from None
app.Trouble: no such key`,
    "INFO:root:goes on",
    "INFO:root:ends",
  ],
  go: [
    "2030/01/02 03:04:05 started",
    `panic: runtime error: invalid memory address or nil pointer dereference
[signal SIGSEGV: segmentation violation code=0x1 addr=0x0 pc=0x47f1b4]

goroutine 1 [running]:
main.(*server).handle(0x0, {0x4b2f10, 0xc00001a0a8})
\t/srv/app/main.go:14 +0x1d
main.main()
\t/srv/app/main.go:9 +0x25

goroutine 18 [select, 2 minutes]:
net/http.(*conn).serve(0xc0000a0000)
\t/usr/local/go/src/net/http/server.go:1991 +0x5ed
created by net/http.(*Server).Serve in goroutine 1
\t/usr/local/go/src/net/http/server.go:3285 +0x4b4`,
    "exit status 2",
    "2030/01/02 03:04:06 started again",
  ],
  node: [
    "started",
    `Error: connect ECONNREFUSED 127.0.0.1:9092
    at TCPConnectWrap.afterConnect [as oncomplete] (node:net:1637:16) {
  errno: -111,
  code: 'ECONNREFUSED',
  [cause]: Error: closed
      at Socket.close (/srv/app.js:3:7)
}`,
    `/srv/app.js:7
    throw new TypeError("no key");
    ^

TypeError: no key
    at handle (/srv/app.js:7:11)
    at async Server.run (file:///srv/server.mjs:40:5)`,
    "Node.js v24.1.0",
    `request failed: RangeError: too long
    at check (/srv/check.js:2:9)`,
    "goes on",
  ],
};

suite("stackTraceJoiner()", () => {
  for (const [preset, records] of Object.entries(logs)) {
    test(`keeps the stack traces of ${preset} together, and nothing else`, () => {
      const file = Buffer.from(records.map((record) => `${record}\n`).join(""));
      const rules = entryOf({ multiline: { preset } });
      assert.deepEqual(values(ship(rules, file, { flush: FINAL_FLUSH })), records);
    });
  }
});
