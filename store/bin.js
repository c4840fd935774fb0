#!/usr/bin/env node
import { launch } from "../base/launch.js";

await launch({ command: "logstore", folder: "store" });
