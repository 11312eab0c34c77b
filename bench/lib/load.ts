/** Load by wrk, and what it says. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { request } from 'node:http';
import { buffer, text } from 'node:stream/consumers';
import type { Question, Subject } from './question.ts';

export interface Measured {
  readonly requestsPerSecond: number;
  readonly p99Ms: number;
}

/** The same answer from everybody, or nothing is measured. Asked twice, so that a cache has it. */
export async function checkAnswer(subject: Subject, { path, bytes }: Question): Promise<void> {
  for (let time = 0; time < 2; time++) {
    const call = request({ host: '127.0.0.1', port: subject.port, path, headers: { host: subject.host } }).end();
    const [response] = await once(call, 'response');
    const body = await buffer(response);
    if (response.statusCode !== 200 || body.length !== bytes)
      throw new Error(`${subject.label} answers ${path} with ${response.statusCode} and ${body.length} bytes`);
  }
}

export async function load(subject: Subject, question: Question, core: number, seconds: number): Promise<Measured> {
  const { port, host } = subject;
  const args = ['-t1', `-c${question.connections}`, `-d${seconds}s`, '--latency', '-H', `Host: ${host}`];
  const url = `http://127.0.0.1:${port}${question.path}`;
  const child = spawn('taskset', ['-c', String(core), 'wrk', ...args, url], { stdio: ['ignore', 'pipe', 'inherit'] });
  const [report, [code]] = await Promise.all([text(child.stdout!), once(child, 'exit')]);
  if (code !== 0) throw new Error(`wrk ended with exit code ${code}`);
  return readReport(report, subject.label);
}

const UNIT_MS: Readonly<Record<string, number>> = { us: 0.001, ms: 1, s: 1000, m: 60_000 };

export function readReport(report: string, label: string): Measured {
  const failed = /Non-2xx or 3xx responses: \d+|Socket errors: .*/.exec(report)?.[0];
  if (failed) throw new Error(`${label}: ${failed}`);
  const rate = /Requests\/sec:\s+([\d.]+)/.exec(report);
  const tail = /99%\s+([\d.]+)(us|ms|s|m)/.exec(report);
  if (!rate || !tail) throw new Error(`wrk said something unexpected:\n${report}`);
  return { requestsPerSecond: Number(rate[1]), p99Ms: Number(tail[1]) * UNIT_MS[tail[2]!]! };
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}
