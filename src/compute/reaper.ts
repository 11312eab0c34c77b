/**
 * What stays behind when the platform dies by SIGKILL: nothing. A shell of a few hundred kilobytes holds the other
 * end of a pipe; when the pipe closes, for whatever reason, it kills the process groups it was told of and removes
 * the private directory. Guests end by themselves too, but one that is stuck in a loop cannot notice anything.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';

const SCRIPT = `
trap '' HUP INT TERM
groups=' '
while read -r what group; do
  case $what in
    +) groups="$groups$group " ;;
    -) rest=' '; for one in $groups; do [ "$one" = "$group" ] || rest="$rest$one "; done; groups=$rest ;;
  esac
done
for one in $groups; do kill -s KILL -- "-$one" 2>/dev/null; done
rm -rf -- "$1"
`;

export interface Reaper {
  watch(group: number): void;
  forget(group: number): void;
  /** Ends what is left and removes the directory. */
  finish(): Promise<void>;
}

export function startReaper(directory: string): Reaper {
  const shell = spawn('/bin/sh', ['-c', SCRIPT, 'selvedge-reaper', directory], {
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
    env: { PATH: '/usr/local/bin:/usr/bin:/bin' },
    cwd: '/',
  });
  shell.unref();
  shell.on('error', () => {});
  shell.stdin.on('error', () => {});
  const exited = once(shell, 'exit').catch(() => undefined);
  return {
    watch: (group) => void shell.stdin.write(`+ ${group}\n`),
    forget: (group) => void shell.stdin.write(`- ${group}\n`),
    async finish() {
      shell.ref();
      shell.stdin.end();
      await exited;
    },
  };
}
