/** A control plane in a process of its own, so that a test can kill it at any moment. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { TEST_TOKEN } from './control-plane.ts';

export interface ControlProcess {
  readonly url: string;
  readonly port: number;
  kill(signal: NodeJS.Signals): Promise<void>;
}

/** `slowMs`: how long a POP in the process takes over each snapshot; 0 for no POP. */
export async function controlProcess(dataDir: string, port = 0, slowMs = 0): Promise<ControlProcess> {
  const main = fileURLToPath(new URL('./control-process-main.ts', import.meta.url));
  const child = spawn(process.execPath, [main, dataDir, String(port), TEST_TOKEN, String(slowMs)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [line] = (await Promise.race([once(child.stdout!, 'data'), died(child)])) as [Buffer];
  const url = line.toString().trim();
  return {
    url,
    port: Number(new URL(url).port),
    async kill(signal) {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const gone = once(child, 'exit');
      child.kill(signal);
      await gone;
    },
  };
}

async function died(child: ChildProcess): Promise<never> {
  const [code] = await once(child, 'exit');
  throw new Error(`the control process ended with ${code} before it was ready`);
}
