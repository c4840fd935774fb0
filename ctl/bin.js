#!/usr/bin/env node
import { launch } from "../base/launch.js";

await launch({ command: "logctl", folder: "ctl" });
