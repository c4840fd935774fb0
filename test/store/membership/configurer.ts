import type { Configure } from "../../../store/apply/types.ts";
import { restoreConfig, simpleChange } from "../../../store/raft/conf-changer.ts";
import { ProgressTracker } from "../../../store/raft/tracker.ts";
import type { ConfState } from "../../../store/raft/types.ts";

const fresh = { lastIndex: 1, inflights: { messages: 1, bytes: 1 } };

/** What the core does of a change of one member at a time, from `confState` on; `calls` counts. */
export function configurer(confState?: ConfState): {
  readonly configure: Configure;
  readonly calls: () => number;
} {
  const tracker = new ProgressTracker(confState && restoreConfig(confState, fresh));
  let calls = 0;
  const configure: Configure = ({ changes }) => {
    calls += 1;
    const { config, progress } = simpleChange({ ...tracker, fresh }, changes);
    tracker.config = config;
    tracker.progress = progress;
    return tracker.confState();
  };
  return { configure, calls: () => calls };
}

/** For a log that changes no configuration. */
export const noConfigure: Configure = () => {
  throw new Error("this log holds no change of the configuration");
};
