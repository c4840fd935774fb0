import type { AgentConfig } from "../../conf/agent-config.ts";
import { type FieldIssue, fieldName, shownValue } from "../../conf/field-issues.ts";
import { compileGlob, GlobError } from "../source/glob.ts";

/** The patterns of `allow` that cannot be used. */
export function allowIssues({ allow }: Pick<AgentConfig, "allow">): readonly FieldIssue[] {
  return allow.flatMap((pattern, index): readonly FieldIssue[] => {
    try {
      compileGlob(pattern, { dot: true });
      return [];
    } catch (error) {
      if (!(error instanceof GlobError)) throw error;
      const path = ["allow", index];
      return [{ path, sentence: `field "${fieldName(path)}" is ${shownValue(pattern)}: ${error.why}` }];
    }
  });
}
