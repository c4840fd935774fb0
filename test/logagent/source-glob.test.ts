import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { compileAllowList } from "../../logagent/source/allow-list.ts";
import { compileGlob, matchesAny } from "../../logagent/source/glob.ts";

const matches = (pattern: string, path: string) => matchesAny(compileGlob(pattern), path);

suite("compileGlob()", () => {
  test("matches within a name, across folders, classes, braces and escapes", () => {
    const yes: [string, string][] = [
      ["/a/b.log", "/a/b.log"],
      ["/a//b.log", "/a/b.log"],
      ["/a/*.log", "/a/b.log"],
      ["/a/?.log", "/a/b.log"],
      ["/a/*b*c*.log", "/a/xbxxc.log"],
      ["/a/**/x.log", "/a/x.log"],
      ["/a/**/x.log", "/a/b/c/x.log"],
      ["/a/**", "/a/b/c"],
      ["/a/[a-c]x", "/a/bx"],
      ["/a/[!a-c]x", "/a/dx"],
      ["/a/[]]x", "/a/]x"],
      ["/a/{x,y{1,2}}.log", "/a/y2.log"],
      ["/a/{x}.log", "/a/{x}.log"],
      ["/a/{x,{y}}.log", "/a/{y}.log"],
      ["/a/{x\\,y,z}.log", "/a/x,y.log"],
      ["/a/\\{x,y.log", "/a/{x,y.log"],
      ["/a/x\\}.log", "/a/x}.log"],
      ["/a/[{]x", "/a/{x"],
      ["/a/{x,[,}]y}", "/a/}y"],
      ["/a/\\*.log", "/a/*.log"],
      ["/a/.*", "/a/.hidden"],
      ["/*/x", "/a/x"],
    ];
    for (const [pattern, path] of yes) assert.ok(matches(pattern, path), `${pattern} matches ${path}`);
  });

  test("does not match more than that", () => {
    const no: [string, string][] = [
      ["/a/*.log", "/a/b/c.log"],
      ["/a/*.log", "/a/.log"],
      ["/a/*", "/a/.hidden"],
      ["/a/**/x", "/a/.hidden/x"],
      ["/a/?.log", "/a/bb.log"],
      ["/a/[a-c]x", "/a/dx"],
      ["/a/\\*.log", "/a/b.log"],
      ["/a/b*", "/ab/bc"],
      ["/a/b.log", "/a/b.log.1"],
      ["/a/b.log", "/x/a/b.log"],
    ];
    for (const [pattern, path] of no) assert.ok(!matches(pattern, path), `${pattern} does not match ${path}`);
  });

  test("refuses what cannot be meant, naming the pattern", () => {
    const refused: [string, RegExp][] = [
      ["a/*.log", /Cannot use path pattern "a\/\*\.log": it does not start with \//],
      ["/a/../b", /it has a "\.\." segment/],
      ["/a/[b", /it has a "\[" without "\]"/],
      ["/a/{b,c.log", /it has a "\{" without "\}" at character 4, expected "\{a,b\}", or "\\\{" for a name/],
      ["/a/b,c}.log", /it has a "\}" without "\{" at character 7, expected "\{a,b\}", or "\\\}" for a name/],
      ["/a/{b,{c,d}.log", /it has a "\{" without "\}" at character 4/],
      ["/{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}", /its braces stand for more than 64 patterns/],
    ];
    for (const [pattern, message] of refused) {
      assert.throws(() => compileGlob(pattern), { code: "EGLOB", message });
    }
  });

  test("literalPrefix is the folder of every match", () => {
    assert.deepEqual(
      compileGlob("/var/log/{a,b}/*.log").map((glob) => glob.literalPrefix),
      ["/var/log/a", "/var/log/b"],
    );
    assert.equal(compileGlob("/*")[0]?.literalPrefix, "/");
  });

  test("takes no time that a pattern could make explode", () => {
    const [glob] = compileGlob(`/a/${"*a".repeat(60)}b`);
    assert.equal(glob?.matches(`/a/${"a".repeat(250)}`), false);
    const [deep] = compileGlob(`/a${"/**/x".repeat(40)}/y`);
    assert.equal(deep?.matches(`/a${"/x".repeat(400)}`), false);
  });
});

suite("compileAllowList()", () => {
  test("allows() includes names that start with a dot", () => {
    const allow = compileAllowList(["/var/log/**", "/srv/*.log"]);
    assert.ok(allow.allows("/var/log/.cache/x"));
    assert.ok(allow.allows("/srv/a.log"));
    assert.ok(!allow.allows("/srv/a/b.log"));
    assert.ok(!allow.allows("/var/logs/x"));
  });
});
