import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

/** The oldest Node that runs TypeScript as it is, without a flag or a warning. */
const NODE_MIN = { major: 24, minor: 12 };

/**
 * Starts one of the commands: its TypeScript in a clone, its built JavaScript in an installed package (where Node strips no
 * types). Plain JavaScript, so that a Node that is too old gets as far as saying so.
 *
 * @param {{ command: string, folder: string }} options the command's name, and the folder that holds its main.ts
 * @returns {Promise<void>} the exit code is set when the command's main is done
 */
export async function launch({ command, folder }) {
  const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
  if (major < NODE_MIN.major || (major === NODE_MIN.major && minor < NODE_MIN.minor)) {
    process.stderr.write(
      `${command} needs Node ${NODE_MIN.major}.${NODE_MIN.minor} or newer; this is ${process.version}. ` +
        `In a clone, run it as \`npx ${command}\`, which takes the Node of node_modules (after \`npm ci\`).\n`,
    );
    process.exitCode = 1;
    return;
  }
  const source = new URL(`../${folder}/main.ts`, import.meta.url);
  const built = new URL(`../dist/${folder}/main.js`, import.meta.url);
  const entry = existsSync(fileURLToPath(source)) ? source : built;
  /** @type {{ main: (argv: string[]) => Promise<number> }} */
  const { main } = await import(entry.href);
  process.exitCode = await main(process.argv.slice(2));
}
