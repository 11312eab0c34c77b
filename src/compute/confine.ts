/**
 * What a worker sees of the machine, where the system lets an ordinary user decide that: Linux with user
 * namespaces. In a mount namespace of its own the bundle is read-only (EROFS), the temporary directory is a file
 * system of bounded size (ENOSPC), and the platform's data and the files of other workers are not there. A second
 * user namespace takes the means to undo that, and with it the right to look into processes outside.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { GUEST_ROOM } from './process.ts';

export interface Place {
  /** Read-only, and the working directory. */
  readonly bundle: string;
  /** Of this worker alone. */
  readonly directory: string;
  readonly compileCache: string;
  readonly brokerDirectory: string;
  readonly temporary: string;
  readonly temporaryMiB: number;
  /** What is not there for the worker, but for the directories above. */
  readonly hidden: readonly string[];
}

/**
 * Directories that stay are held open while the ones above them disappear. A remount has to repeat the flags that
 * the file system was mounted with, which the kernel does not let go of: the usual sets are tried.
 */
const SCRIPT = `
set -e
PATH=/usr/sbin:/usr/bin:/sbin:/bin
bundle=$1 worker=$2 cache=$3 broker=$4 temporary=$5 size=$6 uid=$7 gid=$8
shift 8
exec 6<"$bundle" 7<"$worker" 8<"$cache" 9<"$broker"
while [ "$1" != -- ]; do mount -t tmpfs -o size=256k,nr_inodes=64,mode=0755 none "$1"; shift; done
shift
mkdir -p "$bundle" "$worker" "$cache" "$broker"
mount -c --bind /proc/self/fd/6 "$bundle"
mount -c --bind /proc/self/fd/7 "$worker"
mount -c --bind /proc/self/fd/8 "$cache"
mount -c --bind /proc/self/fd/9 "$broker"
exec 6<&- 7<&- 8<&- 9<&-
readonly=
for flags in '' ,relatime ,noatime; do
  for more in '' ,nosuid ,nodev ,nosuid,nodev ,nosuid,nodev,noexec; do
    [ -n "$readonly" ] || ! mount -o "remount,bind,ro$more$flags" "$bundle" 2>/dev/null || readonly=yes
  done
done
[ -n "$readonly" ]
mount -t tmpfs -o "size=$size,mode=0700,nosuid,nodev" none "$temporary"
cd "$bundle"
unshare=$(command -v unshare)
export PATH="$SELVEDGE_PATH"
unset SELVEDGE_PATH PWD OLDPWD
[ -z "\${SELVEDGE_LD_LIBRARY_PATH+x}" ] || export LD_LIBRARY_PATH="$SELVEDGE_LD_LIBRARY_PATH"
[ -z "\${SELVEDGE_LD_PRELOAD+x}" ] || export LD_PRELOAD="$SELVEDGE_LD_PRELOAD"
unset SELVEDGE_LD_LIBRARY_PATH SELVEDGE_LD_PRELOAD
exec "$unshare" --user --map-user="$uid" --map-group="$gid" -- "$@"
`;

/** Would let project code into the programs that confine it; handed on behind them. */
const HELD_BACK = ['PATH', 'LD_LIBRARY_PATH', 'LD_PRELOAD'] as const;

/** The command, confined to a place. */
export function confined(place: Place, command: readonly string[]): readonly string[] {
  const { bundle, directory, compileCache, brokerDirectory, temporary, temporaryMiB } = place;
  const { uid, gid } = { uid: process.getuid!(), gid: process.getgid!() };
  const script = ['/bin/sh', '-c', SCRIPT, 'selvedge-confine'];
  const places = [bundle, directory, compileCache, brokerDirectory, temporary, `${temporaryMiB}m`, `${uid}`, `${gid}`];
  const unshare = ['/usr/bin/unshare', '--user', '--map-root-user', '--mount', '--'];
  return [...unshare, ...script, ...places, ...place.hidden.filter(mayHide), '--', ...command];
}

/** The environment for `confined`: what would change the confining programs waits under other names. */
export function confinedEnvironment(env: Readonly<Record<string, string>>): Record<string, string> {
  const held = HELD_BACK.filter((name) => env[name] !== undefined).map((name) => [`SELVEDGE_${name}`, env[name]!]);
  const kept = Object.entries(env).filter(([name]) => !/^(LD_|GLIBC_|LIBMOUNT_)|^PATH$/.test(name));
  return Object.fromEntries([...kept, ...held]);
}

/** A platform that runs from below such a directory must stay visible to its own guests. */
const mayHide = (directory: string): boolean =>
  ![GUEST_ROOM, process.execPath].some((own) => own.startsWith(`${directory}/`));

/** Whether this machine can: tried with the real thing once, because no setting tells it all. */
export async function canConfine(directory: string): Promise<boolean> {
  if (process.platform !== 'linux') return false;
  const at = (name: string): string => join(directory, 'probe', name);
  const place: Place = {
    ...{ bundle: at('bundle'), directory: at('w'), compileCache: at('c'), brokerDirectory: at('b') },
    ...{ temporary: at('w/t'), temporaryMiB: 1, hidden: [at('hidden')] },
  };
  for (const path of [place.bundle, place.temporary, place.compileCache, place.brokerDirectory, at('hidden')])
    mkdirSync(path, { recursive: true });
  const [command, ...args] = confined(place, ['/bin/sh', '-c', 'echo x >"$TMPDIR/x" && ! echo x 2>/dev/null >x']);
  const env = confinedEnvironment({ PATH: '/usr/bin:/bin', TMPDIR: place.temporary });
  const child = spawn(command!, args, { cwd: '/', env, stdio: 'ignore' });
  const [code] = (await once(child, 'exit').catch(() => [1])) as [number | null];
  await rm(join(directory, 'probe'), { recursive: true, force: true });
  return code === 0;
}
