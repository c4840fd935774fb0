import assert from "node:assert/strict";
import { suite, test } from "node:test";
import fc from "fast-check";
import type { Entry } from "../../../conf/collect-config.ts";
import { findJsonError } from "../../../conf/json-syntax.ts";
import { nearestName } from "../../../conf/nearest.ts";
import { ENTRIES_MAX, parseCollectConfig } from "../../../conf/parse-collect-config.ts";
import { insideAllow } from "../../../logagent/config/inside-allow.ts";
import { compileAllowList } from "../../../logagent/source/allow-list.ts";
import { compileGlob, matchesAny } from "../../../logagent/source/glob.ts";

const parse = (text: string): Entry[] => parseCollectConfig(Buffer.from(text));
const PREFIX = "Cannot use collect config: ";

const lineRulesRefused: readonly (readonly [fields: string, clause: string])[] = [
  [
    '"include": ["fine", "x("]',
    'field "include[1]" is "x(", expected a pattern that compiles: missing closing ) at character 3',
  ],
  [
    '"exclude": ["a{2}[z-b]"]',
    'field "exclude[0]" is "a{2}[z-b]", expected a pattern that compiles: invalid character class range at character 6',
  ],
  [
    '"redact": [{"pattern": "(?=a)"}]',
    'field "redact[0].pattern" is "(?=a)", expected a pattern that compiles: invalid or unsupported Perl syntax at character 1',
  ],
  [
    '"redact": [{"pattern": "a", "replacment": ""}]',
    'unknown field "redact[0].replacment", did you mean "replacement"?',
  ],
  [
    '"multiline": {"start": "(a|b"}',
    'field "multiline.start" is "(a|b", expected a pattern that compiles: missing closing ) at character 5',
  ],
  [
    '"multiline": {"end": "[ab]{0,999}"}',
    'field "multiline.end" is "[ab]{0,999}", expected a pattern that compiles: it compiles to 2000 steps, expected 500 or less',
  ],
  [
    '"multiline": {}',
    'field "multiline" is an object, expected one of "preset", "start", "continuation" and "end" in it (0 are given)',
  ],
  [
    '"multiline": {"preset": "java", "end": "x"}',
    'field "multiline" is an object, expected one of "preset", "start", "continuation" and "end" in it (2 are given)',
  ],
  [
    '"multiline": {"preset": "php"}',
    'field "multiline.preset" is "php", expected one of "java", "python", "go", "node"',
  ],
  [
    '"multiline": {"preset": "go", "maxLines": 1001}',
    'field "multiline.maxLines" is 1001, expected 1000 or less',
  ],
  [
    '"encoding": "klingon"',
    'field "encoding" is "klingon", expected an encoding that is known, such as utf-16le, gbk, shift_jis, latin1',
  ],
  [
    '"encoding": "iso-2022-jp"',
    'field "encoding" is "iso-2022-jp", expected an encoding that is known, such as utf-16le, gbk, shift_jis, latin1',
  ],
  ['"longLines": "drop"', 'field "longLines" is "drop", expected one of "cut", "truncate"'],
  ['"partialLineTimeoutMs": 99', 'field "partialLineTimeoutMs" is 99, expected 100 or more'],
  ['"format": "xml"', 'field "format" is "xml", expected one of "raw", "json"'],
  ['"fields": {"a": "b"}', 'field "fields" is an object, expected none without "format": "json"'],
  [
    '"format": "json", "fields": {"ip": "b"}',
    'field "fields.ip" is "b", expected a name other than time, ip, path, offset, line',
  ],
  ['"format": "json", "fields": {"a": 1}', 'field "fields.a" is 1, expected a string'],
  ['"key": "field:"', 'field "key" is "field:", expected "none", "path" or "field:<name>"'],
  ['"ignoreOlderThanSeconds": 0', 'field "ignoreOlderThanSeconds" is 0, expected 1 or more'],
  [
    '"rateLimit": {}',
    'field "rateLimit" is an object, expected "bytesPerSecond", "linesPerSecond" or both in it',
  ],
  [
    '"rateLimit": {"bytesPerSecond": 1023}',
    'field "rateLimit.bytesPerSecond" is 1023, expected 1024 or more',
  ],
];

suite("parseCollectConfig()", () => {
  test("takes an entry with every field, and gives encodings their own names", () => {
    const [entry] = parse(
      JSON.stringify([
        {
          path: "/a",
          topic: "t",
          longLines: "truncate",
          partialLineTimeoutMs: 5000,
          encoding: "Latin1",
          multiline: { preset: "java" },
          include: ["ERROR"],
          exclude: ["^#"],
          redact: [{ pattern: "\\d{16}" }],
          format: "json",
          fields: { env: "prod" },
          key: "field:user",
          ignoreOlderThanSeconds: 86_400,
          rateLimit: { bytesPerSecond: 1_000_000 },
        },
      ]),
    );
    assert.equal(entry?.encoding, "windows-1252");
    assert.deepEqual(entry?.redact, [{ pattern: "\\d{16}", replacement: "***" }]);
    assert.deepEqual(entry?.multiline, {
      preset: "java",
      maxLines: 500,
      maxBytes: 524_288,
      timeoutMs: 2000,
    });
  });

  test("fills in the defaults", () => {
    assert.deepEqual(parse('[{"path":"/a/*.log","topic":"web_log"}]'), [
      {
        path: "/a/*.log",
        topic: "web_log",
        from: "beginning",
        headers: true,
        maxLineBytes: 524_288,
        longLines: "cut",
        encoding: "utf-8",
        include: [],
        exclude: [],
        redact: [],
        format: "raw",
        fields: {},
        key: "none",
      },
    ]);
  });

  test("takes an empty list, and one with a byte order mark", () => {
    assert.deepEqual(parse("[]"), []);
    assert.deepEqual(parse("\ufeff [ ]\n"), []);
  });

  const refused: [what: string, value: string | Buffer, message: string][] = [
    ["an empty value", "", "the value is empty, expected a JSON list ([] for no entries)"],
    ["a blank value", " \n", "the value is empty, expected a JSON list ([] for no entries)"],
    ["text", "hello", "not JSON at line 1, column 1: found hello, expected a value"],
    [
      "a list that is cut short",
      '[{"path": "/a",\n  "topic": "t"}',
      "not JSON at line 2, column 16: the text ends, expected a comma or the closing bracket",
    ],
    [
      "a comma too many",
      '[{"path": "/a", "topic": "t"},\n]',
      "not JSON at line 2, column 1: found ], expected a value",
    ],
    [
      "single quotes",
      "[{'path': 1}]",
      'not JSON at line 1, column 3: found "\'", expected a field name in double quotes or }',
    ],
    [
      "a field that is there twice",
      '[{"path": "/a", "topic": "t", "path": "/b"}]',
      'not JSON at line 1, column 31: the field "path" is there twice in one object',
    ],
    [
      "an object",
      '{"path": "/a", "topic": "t"}',
      'the value is an object, expected a list of entries ([{"path": …, "topic": …}])',
    ],
    ["null", "null", 'the value is null, expected a list of entries ([{"path": …, "topic": …}])'],
    ["an entry that is no object", '["/a"]', 'entry 1: the value is "/a", expected an object'],
    [
      "a path with NUL",
      '[{"path": "/var/log/a\\u0000b", "topic": "t"}]',
      'entry 1 ("/var/log/a\\u0000b"): field "path" is "/var/log/a\\u0000b", expected a path without NUL, which no file name has',
    ],
    ["an entry without a path", '[{"topic": "t"}]', 'entry 1: field "path" is missing, expected a string'],
    [
      "an entry without a topic",
      '[{"path": "/a"}]',
      'entry 1 ("/a"): field "topic" is missing, expected a string',
    ],
    [
      "an unknown field, with the nearest one",
      '[{"path": "/a", "topic": "t", "form": "end"}]',
      'entry 1 ("/a"): unknown field "form", did you mean "from"?',
    ],
    [
      "an unknown field that is near to none",
      '[{"path": "/a", "topic": "t", "zzzzzz": 1}]',
      'entry 1 ("/a"): unknown field "zzzzzz", known are path, topic, from, headers, maxLineBytes, longLines, ' +
        "partialLineTimeoutMs, encoding, multiline, include, exclude, redact, format, fields, key, " +
        "ignoreOlderThanSeconds, rateLimit",
    ],
    [
      "a wrong type",
      '[{"path": "/a", "topic": "t", "headers": "yes"}]',
      'entry 1 ("/a"): field "headers" is "yes", expected true or false',
    ],
    [
      "a value that is none of the allowed",
      '[{"path": "/a", "topic": "t", "from": "start"}]',
      'entry 1 ("/a"): field "from" is "start", expected one of "beginning", "end"',
    ],
    [
      "a number below its limit",
      '[{"path": "/a", "topic": "t", "maxLineBytes": 1}]',
      'entry 1 ("/a"): field "maxLineBytes" is 1, expected 1024 or more',
    ],
    [
      "a fraction",
      '[{"path": "/a", "topic": "t", "maxLineBytes": 2048.5}]',
      'entry 1 ("/a"): field "maxLineBytes" is 2048.5, expected a whole number',
    ],
    [
      "a relative path",
      '[{"path": "a.log", "topic": "t"}]',
      'entry 1 ("a.log"): field "path" is "a.log", expected an absolute path',
    ],
    [
      "a topic that Kafka refuses",
      '[{"path": "/a", "topic": "my topic"}]',
      'entry 1 ("/a"): field "topic" is "my topic", expected 1 to 249 characters of a-z A-Z 0-9 . _ -',
    ],
    ...lineRulesRefused.map(([fields, clause]): [string, string, string] => [
      `${fields}`,
      `[{"path": "/a", "topic": "t", ${fields}}]`,
      `entry 1 ("/a"): ${clause}`,
    ]),
    [
      "the same path twice",
      '[{"path": "/a", "topic": "t"}, {"path": "/b", "topic": "t"}, {"path": "/a", "topic": "u"}]',
      'entry 3 ("/a"): the same path is in entry 1, expected each path once',
    ],
    [
      "several mistakes at once",
      '[{"path": "/a"}, {"topic": "t"}]',
      'entry 1 ("/a"): field "topic" is missing, expected a string; entry 2: field "path" is missing, expected a string',
    ],
    [
      "too many entries",
      `[${Array(ENTRIES_MAX + 1)
        .fill("1")
        .join()}]`,
      `the list has ${ENTRIES_MAX + 1} entries, expected at most ${ENTRIES_MAX}`,
    ],
    ["what is not UTF-8", Buffer.from([0x5b, 0xff, 0x5d]), "it is not UTF-8, expected JSON text"],
  ];
  for (const [what, value, message] of refused) {
    test(`refuses ${what}`, () => {
      assert.throws(() => parseCollectConfig(Buffer.from(value)), {
        code: "EBADCONFIG",
        message: PREFIX + message,
      });
    });
  }

  test("names ten mistakes and counts the rest", () => {
    assert.throws(() => parse(`[${Array(25).fill("1").join()}]`), /entry 10: .*; and 15 more mistakes$/);
  });

  test("takes thousands of entries", () => {
    const list = Array.from({ length: ENTRIES_MAX }, (_, n) => ({ path: `/var/log/${n}.log`, topic: "t" }));
    assert.equal(parse(JSON.stringify(list)).length, ENTRIES_MAX);
  });
});

suite("findJsonError()", () => {
  const agrees = (text: string) => {
    let isJson = true;
    try {
      JSON.parse(text);
    } catch {
      isJson = false;
    }
    const error = findJsonError(text);
    if (error?.reason.includes("there twice")) return;
    assert.equal(error === undefined, isJson, `${JSON.stringify(text)}: ${error?.reason}`);
  };

  test("agrees with JSON.parse on JSON", () => {
    fc.assert(fc.property(fc.json(), agrees));
  });

  test("agrees with JSON.parse on JSON with a character changed, left out or put in", () => {
    const mutated = fc
      .tuple(
        fc.json(),
        fc.nat(),
        fc.constantFrom("", ",", "]", "}", '"', "\\", "0", "-", ".", "e", "\n", "é"),
        fc.boolean(),
      )
      .map(([text, at, put, replaces]) => {
        const from = at % (text.length + 1);
        return text.slice(0, from) + put + text.slice(replaces ? from + 1 : from);
      });
    fc.assert(fc.property(mutated, agrees), { numRuns: 2000 });
  });

  test("takes brackets nested by the hundred thousand", () => {
    const depth = 100_000;
    assert.equal(findJsonError("[".repeat(depth) + "]".repeat(depth)), undefined);
    assert.equal(findJsonError("[".repeat(depth))?.offset, depth);
  });
});

suite("nearestName()", () => {
  const known = ["path", "topic", "from", "headers", "maxLineBytes"];
  for (const [typo, meant] of [
    ["pth", "path"],
    ["Path", "path"],
    ["topics", "topic"],
    ["form", "from"],
    ["header", "headers"],
    ["max_line_bytes", "maxLineBytes"],
    ["zzzzzz", undefined],
  ] as const) {
    test(`${typo} is near ${meant ?? "nothing"}`, () => assert.equal(nearestName(typo, known), meant));
  }
});

suite("insideAllow()", () => {
  const check = (allow: readonly string[], path: string) =>
    insideAllow(compileAllowList(allow))({ ...(parse('[{"path":"/a","topic":"t"}]')[0] as Entry), path });

  const cases: [allow: string[], path: string, isInside: boolean][] = [
    [["/var/log/**"], "/var/log/a.log", true],
    [["/var/log/**"], "/var/log/*/a.log", true],
    [["/var/log/**"], "/var/log/**/*.log", true],
    [["/var/log/**"], "/var/log/.hidden/a", true],
    [["/var/log/**"], "/var/logs/a.log", false],
    [["/var/log/**"], "/var/*/a.log", false],
    [["/var/log/**"], "/**", false],
    [["/var/log/**"], "/var/log/{a,b}.log", true],
    [["/var/log/**"], "/var/{log,lib}/a", false],
    [["/var/log/*.log"], "/var/log/a.log", true],
    [["/var/log/*.log"], "/var/log/*.log", true],
    [["/var/log/*.log"], "/var/log/*", false],
    [["/var/log/*.log"], "/var/log/a*.log", false],
    [["/srv/*/logs/**"], "/srv/*/logs/*.log", true],
    [["/srv/*/logs/**"], "/srv/web?/logs/**", true],
    [["/srv/*/logs/**"], "/srv/**/logs/a", false],
    [["/var/log/**", "/opt/app/*.log"], "/opt/app/x.log", true],
    [["/**/logs/*"], "/a/b/logs/x", true],
    [["/**/logs/*"], "/a/**/logs/*", true],
  ];
  for (const [allow, path, isInside] of cases) {
    test(`${isInside ? "takes" : "refuses"} ${path} with allow ${allow.join(", ")}`, () => {
      const message = `the path is not inside allow, expected a path inside ${allow.join(" or ")}`;
      assert.equal(check(allow, path), isInside ? undefined : message);
    });
  }

  test("says why a pattern cannot be used, without the path, which its entry has named", () => {
    assert.equal(
      check(["/var/log/**"], "/var/log/../../etc/passwd"),
      'the path cannot be used: it has a ".." segment, expected none',
    );
  });

  test("never takes a pattern that matches a path outside of allow", () => {
    const part = fc.constantFrom("a", "b", "ab", "*", "?", "a*", "*b", "**", "[ab]", "{a,b}");
    const pattern = fc.array(part, { minLength: 1, maxLength: 4 }).map((parts) => `/${parts.join("/")}`);
    const name = fc.constantFrom("a", "b", "ab", "ba", "c", ".a");
    const path = fc.array(name, { minLength: 1, maxLength: 5 }).map((parts) => `/${parts.join("/")}`);
    fc.assert(
      fc.property(
        fc.array(pattern, { minLength: 1, maxLength: 2 }),
        pattern,
        fc.array(path, { maxLength: 40 }),
        (allow, entry, paths) => {
          if (check(allow, entry) !== undefined) return;
          const globs = compileGlob(entry);
          const allowed = compileAllowList(allow);
          for (const one of paths.filter((candidate) => matchesAny(globs, candidate))) {
            assert.ok(allowed.allows(one), `${entry} with allow ${allow.join(", ")} takes ${one}`);
          }
        },
      ),
      { numRuns: 3000 },
    );
  });
});
