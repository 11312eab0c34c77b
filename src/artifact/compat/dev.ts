/** `core/dev`: starts the framework's own development server and waits until it says that it is ready. */
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

export interface DevServerOptions {
  /** Stands before every line of output. */
  readonly label?: string;
  /** Starts the server in this process instead of by a command. */
  readonly run?: (port: number) => unknown;
  readonly command?: (port: number) => string;
  /** Ready once every expression has matched some line. */
  readonly ready?: readonly RegExp[];
  /** False hides a line. */
  readonly filterOutput?: (line: string) => boolean;
}

/** The port that the platform forwards to: `PORT`, by default 3001. Rejects when the server ends before it is ready. */
export async function createDevServer(options: DevServerOptions = {}): Promise<void> {
  const port = Number(process.env.PORT ?? 3001);
  if (options.run) await options.run(port);
  else if (options.command) await runCommand(options.command(port), options);
}

export default createDevServer;

function runCommand(
  command: string,
  { label = '', ready = [], filterOutput = () => true }: DevServerOptions,
): Promise<void> {
  const child = spawn(command, { shell: true, stdio: ['inherit', 'pipe', 'pipe'] });
  const waiting = new Set(ready.map(({ source, flags }) => new RegExp(source, flags.replace(/[gy]/g, ''))));
  return new Promise((resolve, reject) => {
    const onLine = (line: string): void => {
      for (const expression of waiting) if (expression.test(line)) waiting.delete(expression);
      if (filterOutput(line)) console.log(label === '' ? line : `${label} ${line}`);
      if (waiting.size === 0) resolve();
    };
    for (const stream of [child.stdout, child.stderr]) createInterface({ input: stream }).on('line', onLine);
    child.once('error', reject);
    child.once('exit', (code) => reject(new Error(`\`${command}\` ended with code ${code}`)));
    if (waiting.size === 0) resolve();
  });
}
