/** An actor: a platform process with busy workers, waiting to be killed. Prints their process ids as JSON. */
import { bodyText, callOf, computeStage, routesModule } from './project-bundle.ts';

const stage = await computeStage();
const app = { kind: 'command', command: 'node', args: ['server.cjs'] } as const;
const files = {
  'routes.mjs':
    routesModule(`loop: async () => { console.log(String(process.pid)); setImmediate(() => { for (;;); }); await new Promise(() => {}) },
    pid: async () => text(String(process.pid))`),
  'server.cjs': `require('node:http').createServer((q, s) => s.end(String(process.pid))).listen(process.env.PORT)`,
};
const looping = await stage.project(files);
const serving = await stage.project(files, { app });
stage.compute.run(callOf(looping, { route: 'loop' })).catch(() => {});
const loop = Number((await stage.logged((line) => /^\d+$/.test(line.message))).message);
const guest = Number(await bodyText((await stage.compute.run(callOf(serving, { route: 'pid' }))).response));
const server = Number(await bodyText((await stage.compute.run(callOf(serving))).response));
console.log(JSON.stringify({ pids: [loop, guest, server], runDir: stage.runDir }));
