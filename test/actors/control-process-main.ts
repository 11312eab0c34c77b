/** Run by `control-process.ts`: prints the address when ready. */
import { setTimeout as pause } from 'node:timers/promises';
import { writeControlAddress } from '../../src/control/discovery.ts';
import { startControl } from '../../src/control/server.ts';

const [dataDir, port, token, slowMs] = process.argv.slice(2) as [string, string, string, string];
const activate = async () => {
  await pause(Number(slowMs));
  return {};
};
const { url } = await startControl({
  dataDir,
  token,
  port: Number(port),
  domain: 'localhost',
  limits: { 'static.bodyBytes': 1e9, 'bundle.compressedBytes': 1e9, 'bundle.uncompressedBytes': 1e9 },
  publicUrl: (host) => `http://${host}:8080`,
  ...(Number(slowMs) > 0 ? { activate } : {}),
});
await writeControlAddress(dataDir, { url, token });
console.log(url);
