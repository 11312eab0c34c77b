/** The Control API as the console asks it. The token lives in this tab alone; an address with `#token=…` brings it. */

const KEPT = 'selvedge-token';

/** What went wrong, in the words of the problem document. */
export class ApiError extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

/** Takes a token out of the address, so that it stays neither there nor in the history. */
export function takeToken(): void {
  const [, token] = /^#token=([\x21-\x7e]+)$/.exec(location.hash) ?? [];
  if (token === undefined) return;
  setToken(decodeURIComponent(token));
  history.replaceState(null, '', '#/requests');
}

export const hasToken = (): boolean => sessionStorage.getItem(KEPT) !== null;
export const setToken = (token: string): void => sessionStorage.setItem(KEPT, token);
export const forgetToken = (): void => sessionStorage.removeItem(KEPT);

async function send(method: string, path: string, body?: unknown): Promise<Response> {
  const headers = new Headers({ authorization: `Bearer ${sessionStorage.getItem(KEPT) ?? ''}` });
  if (body !== undefined) headers.set('content-type', 'application/json');
  const response = await fetch(path, {
    method,
    headers,
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  if (response.ok) return response;
  const problem = (await response.json().catch(() => ({}))) as { detail?: string; title?: string };
  throw new ApiError(response.status, problem.detail ?? problem.title ?? `status ${response.status}`);
}

export const call = async <Answer>(method: string, path: string, body?: unknown): Promise<Answer> =>
  (await (await send(method, path, body)).json()) as Answer;
export const get = <Answer>(path: string): Promise<Answer> => call<Answer>('GET', path);

/** An answer of one JSON text per line, told as it comes. */
export async function lines<Line>(
  method: string,
  path: string,
  body: unknown,
  hear: (line: Line) => void,
): Promise<void> {
  const response = await send(method, path, body);
  let rest = '';
  for await (const text of response.body!.pipeThrough(new TextDecoderStream()) as unknown as AsyncIterable<string>) {
    const parts = (rest + text).split('\n');
    rest = parts.pop()!;
    for (const part of parts) if (part !== '') hear(JSON.parse(part) as Line);
  }
}
