/** The peers: nginx with a configuration of its own, a bare `node:http` server, and the origin behind everything. */
import { mkdir, writeFile } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Pinned, startPinned } from './machine.ts';

/** Started by root, nginx would become somebody who cannot read the run's folder. */
const user = process.getuid?.() === 0 ? `user ${userInfo().username};` : '';

const common = (folder: string): string => `
${user}
daemon off;
worker_processes 1;
pid ${folder}/nginx.pid;
error_log ${folder}/error.log warn;
events { worker_connections 4096; }
`;

const http = (folder: string, servers: string): string => `
http {
  access_log ${folder}/access.log combined buffer=64k flush=1s;
  sendfile off;
  keepalive_timeout 300;
  keepalive_requests 1000000000;
  open_file_cache max=1000 inactive=10m;
  client_body_temp_path ${folder}/body;
  proxy_temp_path ${folder}/proxy;
  fastcgi_temp_path ${folder}/fastcgi;
  uwsgi_temp_path ${folder}/uwsgi;
  scgi_temp_path ${folder}/scgi;
  ${servers}
}
`;

async function startNginx(core: number, folder: string, servers: string): Promise<Pinned> {
  await mkdir(folder, { recursive: true });
  const file = join(folder, 'nginx.conf');
  await writeFile(file, common(folder) + http(folder, servers));
  return startPinned(core, 'nginx', ['-p', folder, '-e', join(folder, 'error.log'), '-c', file]);
}

/** 1 KB for every request. */
export const startOrigin = (core: number, folder: string, port: number): Promise<Pinned> =>
  startNginx(
    core,
    folder,
    `server { listen 127.0.0.1:${port}; location / { default_type text/plain; return 200 "${'x'.repeat(1024)}"; } }`,
  );

export interface PeerPorts {
  readonly port: number;
  readonly originPort: number;
  readonly helloPort: number;
}

export const startPeer = (core: number, folder: string, { port, originPort, helloPort }: PeerPorts): Promise<Pinned> =>
  startNginx(
    core,
    folder,
    `
  proxy_cache_path ${folder}/cache levels=1:2 keys_zone=bench:10m;
  upstream origin { server 127.0.0.1:${originPort}; keepalive 64; keepalive_requests 1000000000; }
  upstream hello { server 127.0.0.1:${helloPort}; keepalive 64; keepalive_requests 1000000000; }
  proxy_http_version 1.1;
  proxy_set_header Connection "";
  server {
    listen 127.0.0.1:${port} reuseport;
    location /hit { proxy_pass http://origin; proxy_cache bench; proxy_cache_valid 200 1h; }
    location /miss { proxy_pass http://origin; }
    location /compute { proxy_pass http://hello; }
  }`,
  );

export const startHello = (core: number, port: number): Pinned =>
  startPinned(core, process.execPath, [fileURLToPath(new URL('./hello.ts', import.meta.url)), String(port)]);
