/** The CLI's side of the Control API: one call, one answer, failures as sentences. */
import { Agent, type Dispatcher, request } from 'undici';
import type { ControlAddress } from '../control/discovery.ts';
import { readLines } from '../control/lines.ts';
import type { ProblemDocument } from '../control/problem.ts';
import { CommandFailed } from './command.ts';

/** An activation waits for POPs, and for other deployments before it. */
const ANSWER_MS = 10 * 60_000;
const CONNECT_MS = 10_000;

export type Method = 'GET' | 'PUT' | 'POST' | 'PATCH' | 'DELETE';

/** A refusal of the control plane. */
export class Refused extends CommandFailed {
  readonly problem: ProblemDocument;

  constructor(problem: ProblemDocument) {
    super(
      problem.detail,
      (problem.errors?.length ?? 0) > 1 ? problem.errors!.map((it) => `${it.field}: ${it.detail}`) : [],
    );
    this.name = 'Refused';
    this.problem = problem;
  }
}

/** No answer at all: nobody there, or the connection broke. */
export class Unreachable extends CommandFailed {
  /** Certain that the request never arrived. */
  readonly nothingSent: boolean;

  constructor(url: string, cause: unknown) {
    const code = (cause as NodeJS.ErrnoException).code ?? '';
    const nothingSent = ['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'UND_ERR_CONNECT_TIMEOUT'].includes(code);
    const why = nothingSent
      ? `no control plane answers at ${url} (${code})`
      : `the connection to ${url} broke (${code})`;
    super(why, nothingSent ? ["Is it running? 'selvedge start' starts one on this machine."] : [], cause);
    this.name = 'Unreachable';
    this.nothingSent = nothingSent;
  }
}

export class ControlClient {
  readonly url: string;
  readonly #token: string;
  readonly #agent = new Agent({
    headersTimeout: ANSWER_MS,
    bodyTimeout: 0,
    connect: { timeout: CONNECT_MS },
    connections: 16,
  });

  constructor({ url, token }: ControlAddress) {
    this.url = url.replace(/\/+$/, '');
    this.#token = token;
  }

  /** A JSON answer. Throws `Refused` or `Unreachable`. */
  async call<Result>(method: Method, path: string, body?: unknown): Promise<Result> {
    const json = body === undefined ? undefined : { type: 'application/json', content: JSON.stringify(body) };
    const answer = await this.#send(method, path, json);
    return (await this.#json(answer)) as Result;
  }

  /** Sends bytes; the answer is of no interest. */
  async upload(path: string, content: NodeJS.ReadableStream, bytes: number): Promise<void> {
    const body = { type: 'application/octet-stream', content: content as never, bytes };
    await this.#json(await this.#send('PUT', path, body));
  }

  /** An answer of JSON lines, for as long as it lasts. */
  async *lines(path: string): AsyncGenerator<unknown> {
    const answer = await this.#send('GET', path);
    try {
      for await (const line of readLines(answer.body)) yield JSON.parse(line);
    } catch (error) {
      if (error instanceof SyntaxError) throw new CommandFailed(`${this.url} sent no JSON`, [], error);
      throw new Unreachable(this.url, error);
    }
  }

  async close(): Promise<void> {
    await this.#agent.destroy();
  }

  async #send(
    method: Method,
    path: string,
    body?: { readonly type: string; readonly content: string; readonly bytes?: number },
  ): Promise<Dispatcher.ResponseData> {
    const headers: Record<string, string> = { authorization: `Bearer ${this.#token}` };
    if (body) headers['content-type'] = body.type;
    if (body?.bytes !== undefined) headers['content-length'] = String(body.bytes);
    let answer: Dispatcher.ResponseData;
    try {
      answer = await request(this.url + path, {
        method,
        headers,
        body: body?.content ?? null,
        dispatcher: this.#agent,
      });
    } catch (error) {
      throw new Unreachable(this.url, innermost(error));
    }
    if (answer.statusCode >= 400) throw await this.#refusal(answer);
    return answer;
  }

  async #json(answer: Dispatcher.ResponseData): Promise<unknown> {
    let text: string;
    try {
      text = await answer.body.text();
    } catch (error) {
      throw new Unreachable(this.url, innermost(error));
    }
    try {
      return JSON.parse(text) as unknown;
    } catch (error) {
      throw new CommandFailed(`${this.url} answers, but not like a control plane`, [text.slice(0, 200)], error);
    }
  }

  async #refusal(answer: Dispatcher.ResponseData): Promise<CommandFailed> {
    const problem = (await this.#json(answer)) as Partial<ProblemDocument>;
    if (typeof problem.detail !== 'string' || typeof problem.reason !== 'string') {
      return new CommandFailed(`${this.url} answered ${answer.statusCode}, but not like a control plane`);
    }
    return new Refused(problem as ProblemDocument);
  }
}

/** Several addresses of one name fail as one error; the first tells enough. */
function innermost(error: unknown): unknown {
  if (error instanceof AggregateError && error.errors.length > 0) return error.errors[0];
  const { cause } = error as { cause?: unknown };
  return (error as NodeJS.ErrnoException).code === undefined && cause !== undefined ? cause : error;
}
