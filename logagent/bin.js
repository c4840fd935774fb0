#!/usr/bin/env node
import { launch } from "../base/launch.js";

await launch({ command: "logagent", folder: "logagent" });
