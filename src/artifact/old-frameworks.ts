/**
 * What the builds of older frameworks expect of Node and the pinned one has no more. Given through the environment,
 * because such a build starts processes of its own. Only for builds: nothing of it reaches the deployment.
 */

/** Gone from Node 25; old token libraries read it when they are loaded. */
const SLOW_BUFFER =
  'import b from "node:buffer";b.SlowBuffer??=Object.assign(function SlowBuffer(n){return b.Buffer.allocUnsafeSlow(n)},{prototype:b.Buffer.prototype})';
/**
 * Old file-system packages replace `statSync` by one that takes every answer for a file's state; Node's own copying
 * and newer packages ask with `throwIfNoEntry: false`, where the answer is undefined. Those get Node's.
 */
const STAT_SYNC =
  'import f from "node:fs";for(const n of["statSync","lstatSync"]){const own=f[n];let now=own;' +
  'Object.defineProperty(f,n,{configurable:true,enumerable:true,get:()=>now,' +
  'set(g){now=function(p,o){return o?.throwIfNoEntry===false?own(p,o):g.call(this,p,o)}}})}';
/** webpack 4 names its chunks by MD4, which OpenSSL 3 only has with this. */
const OLD_HASHES = '--openssl-legacy-provider';

/** `NODE_OPTIONS` for a framework's build, with what the user has set. */
export function nodeOptionsForBuilds(given = process.env.NODE_OPTIONS ?? ''): string {
  const hashes = process.allowedNodeEnvironmentFlags.has(OLD_HASHES) && !given.includes(OLD_HASHES);
  const repairs = `--import=data:text/javascript,${encodeURIComponent(`${SLOW_BUFFER};${STAT_SYNC}`)}`;
  return [given, hashes ? OLD_HASHES : '', repairs].filter((option) => option !== '').join(' ');
}
