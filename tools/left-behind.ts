/**
 * What a run of the tests has left behind: processes that know its temporary folder, and what lies in that. The one
 * complication is that processes are found through /proc, so elsewhere only files are.
 */
import { readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs';

/** Ends and removes it; each line tells of one process or one file. */
export function cleanUp(folder: string): readonly string[] {
  const processes = processesThatKnow(folder);
  for (const { pid } of processes) end(pid);
  const files = readdirSync(folder);
  rmSync(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
  return [...processes.map(({ pid, command }) => `process ${pid}: ${command}`), ...files.map((name) => `file ${name}`)];
}

interface Process {
  readonly pid: number;
  readonly command: string;
}

function processesThatKnow(folder: string): readonly Process[] {
  const pids = tried(() => readdirSync('/proc'), []).filter(
    (name) => /^\d+$/.test(name) && Number(name) !== process.pid,
  );
  return pids.flatMap((pid) => {
    const command = tried(() => readFileSync(`/proc/${pid}/cmdline`, 'utf8'), '')
      .replaceAll('\0', ' ')
      .trim();
    const environment = tried(() => readFileSync(`/proc/${pid}/environ`, 'utf8'), '');
    const place = tried(() => readlinkSync(`/proc/${pid}/cwd`), '');
    return [command, environment, place].some((text) => text.includes(folder)) ? [{ pid: Number(pid), command }] : [];
  });
}

function end(pid: number): void {
  tried(() => process.kill(pid, 'SIGKILL'), false);
}

/** Processes come and go while one looks. */
function tried<T>(look: () => T, otherwise: T): T {
  try {
    return look();
  } catch {
    return otherwise;
  }
}
