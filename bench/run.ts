/**
 * `npm run bench`: requests per second and p99 on one core, platform and peer in the same run, in interleaved rounds.
 * See README.md. Exit code 2: a tool is missing or a word was not understood.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { compute } from './compute/question.ts';
import { hit } from './hit/question.ts';
import { checkAnswer, load, type Measured, median } from './lib/load.ts';
import { chooseCores, describeMachine, freePort, missingTools, type Pinned } from './lib/machine.ts';
import { startHello, startOrigin, startPeer } from './lib/peers.ts';
import { startPlatform } from './lib/platform.ts';
import type { Question, Subject } from './lib/question.ts';
import { miss } from './miss/question.ts';

const QUESTIONS: readonly Question[] = [hit, miss, compute];
const WARM_UP_SECONDS = 2;

interface Plan {
  readonly questions: readonly Question[];
  readonly rounds: number;
  readonly seconds: number;
}

function readPlan(): Plan | string {
  const options = { rounds: { type: 'string', default: '5' }, seconds: { type: 'string', default: '5' } } as const;
  const { values, positionals } = parseArgs({ options, allowPositionals: true });
  const [rounds, seconds] = [Number(values.rounds), Number(values.seconds)];
  if (!(Number.isInteger(rounds) && rounds > 0 && Number.isInteger(seconds) && seconds > 0))
    return '--rounds and --seconds are positive whole numbers';
  const unknown = positionals.find((name) => !QUESTIONS.some((question) => question.name === name));
  if (unknown !== undefined) return `no question '${unknown}': ${QUESTIONS.map(({ name }) => name).join(', ')}`;
  const questions = QUESTIONS.filter(({ name }) => positionals.length === 0 || positionals.includes(name));
  return { questions, rounds, seconds };
}

async function run(plan: Plan): Promise<void> {
  const cores = chooseCores();
  const folder = await mkdtemp(join(tmpdir(), 'selvedge-bench-'));
  const running: Pinned[] = [];
  try {
    const [port, originPort, helloPort] = [await freePort(), await freePort(), await freePort()];
    running.push(await startOrigin(cores.origin, join(folder, 'origin'), originPort));
    running.push(startHello(cores.subject, helloPort));
    running.push(await startPeer(cores.subject, join(folder, 'peer'), { port, originPort, helloPort }));
    const platform = await startPlatform(cores.subject, folder, originPort);
    running.push(platform);
    const rows: string[][] = [];
    for (const question of plan.questions) {
      const peer = { label: question.peer, port, host: 'bench.localhost' };
      rows.push(...(await answer(question, [platform.subject, peer], plan, cores.load)));
    }
    print(rows, plan);
  } finally {
    await Promise.all(running.map((one) => one.stop()));
    await rm(folder, { recursive: true, force: true });
  }
}

/** Rows of the table: the platform, its peer. */
async function answer(question: Question, subjects: readonly Subject[], plan: Plan, core: number): Promise<string[][]> {
  const measured = new Map<Subject, Measured[]>(subjects.map((subject) => [subject, []]));
  for (const subject of subjects) {
    await checkAnswer(subject, question);
    await load(subject, question, core, WARM_UP_SECONDS);
  }
  for (let round = 0; round < plan.rounds; round++)
    for (const subject of subjects) {
      measured.get(subject)!.push(await load(subject, question, core, plan.seconds));
      process.stderr.write(`${question.name}: ${subject.label}, round ${round + 1} of ${plan.rounds}\n`);
    }
  const rates = subjects.map((subject) => measured.get(subject)!.map(({ requestsPerSecond }) => requestsPerSecond));
  const base = median(rates.at(-1)!);
  return subjects.map((subject, at) => {
    const rate = median(rates[at]!);
    const spread = `${Math.round(Math.min(...rates[at]!))} to ${Math.round(Math.max(...rates[at]!))}`;
    const p99 = median(measured.get(subject)!.map(({ p99Ms }) => p99Ms));
    return [
      question.name,
      subject.label,
      String(Math.round(rate)),
      spread,
      p99.toFixed(2),
      `${(rate / base).toFixed(2)}x`,
    ];
  });
}

function print(rows: readonly string[][], { rounds, seconds }: Plan): void {
  const table = [['question', 'subject', 'requests/s', 'rounds', 'p99 ms', 'ratio'], ...rows];
  const widths = table[0]!.map((_, column) => Math.max(...table.map((row) => row[column]!.length)));
  for (const line of describeMachine()) console.log(line);
  console.log(`one core, ${rounds} interleaved rounds of ${seconds} s, medians\n`);
  for (const row of table)
    console.log(
      row
        .map((cell, column) => cell.padEnd(widths[column]!))
        .join('  ')
        .trimEnd(),
    );
}

const missing = missingTools();
const plan = readPlan();
if (missing.length > 0 || typeof plan === 'string') {
  for (const line of [...missing, ...(typeof plan === 'string' ? [plan] : [])]) console.error(line);
  process.exitCode = 2;
} else {
  await run(plan);
}
