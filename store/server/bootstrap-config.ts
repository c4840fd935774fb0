import type { StoreSettings } from "../../conf/store-settings.ts";
import type { BootstrapConfig } from "../membership/bootstrap-plan.ts";

/** What the settings say of a member without data. */
export function bootstrapConfig(settings: StoreSettings): BootstrapConfig {
  const { name, advertisePeerUrls, initialCluster, clusterToken, mayBootstrap, flags } = settings;
  return {
    name,
    advertisePeerUrls,
    initialCluster,
    clusterToken,
    isNew: mayBootstrap,
    learnersMax: flags["max-learners"],
  };
}
