/**
 * A refused request of the Control API as a value: RFC 9457 problem details with the offending fields named.
 * Rules anywhere in this room throw it; the listener turns it into the answer; the CLI prints it.
 */
import { STATUS_CODES } from 'node:http';

export interface FieldProblem {
  /** Member of the request, as a path: `assets.dist/app.js.sha256`. */
  readonly field: string;
  readonly detail: string;
}

/** The body of every error answer, `application/problem+json`. */
export interface ProblemDocument {
  readonly status: number;
  readonly title: string;
  readonly detail: string;
  /** Stable token for programs, e.g. `host-taken`. */
  readonly reason: string;
  readonly errors?: readonly FieldProblem[];
  /** Facts beside the sentence, e.g. the number of the deployment that was not activated. */
  readonly [member: string]: unknown;
}

export interface ProblemInit {
  readonly status: number;
  readonly reason: string;
  readonly detail: string;
  readonly errors?: readonly FieldProblem[];
  readonly members?: Readonly<Record<string, unknown>>;
}

export class Problem extends Error {
  readonly document: ProblemDocument;

  constructor(init: ProblemInit) {
    super(init.detail);
    this.name = 'Problem';
    const title = STATUS_CODES[init.status] ?? 'Error';
    const { status, reason, detail, errors } = init;
    this.document = { status, title, reason, detail, ...(errors ? { errors } : {}), ...init.members };
  }

  get status(): number {
    return this.document.status;
  }
}

/** A value of the request is wrong: 422, with the field. */
export function invalidField(field: string, detail: string): Problem {
  return new Problem({ status: 422, reason: 'invalid', detail: `${field}: ${detail}`, errors: [{ field, detail }] });
}

/** Several values are wrong: all of them at once. */
export function invalidFields(errors: readonly FieldProblem[]): Problem {
  const detail = errors.map((error) => `${error.field}: ${error.detail}`).join('; ');
  return new Problem({ status: 422, reason: 'invalid', detail, errors });
}

export function notFound(detail: string): Problem {
  return new Problem({ status: 404, reason: 'not-found', detail });
}

/** What does not fit on the disk of the data directory any more: SQLite's way of saying so, or a file's. */
export function isDiskFull(error: unknown): boolean {
  const { code, errcode } = (error ?? {}) as { readonly code?: unknown; readonly errcode?: unknown };
  return code === 'ENOSPC' || code === 'EDQUOT' || (code === 'ERR_SQLITE_ERROR' && errcode === SQLITE_FULL);
}

const SQLITE_FULL = 13;

export const diskFull = (): Problem =>
  new Problem({
    status: 507,
    reason: 'disk-full',
    detail: 'the disk with the data directory is full: nothing was changed; make room on it and try again',
  });

export function conflict(reason: string, detail: string, members?: Readonly<Record<string, unknown>>): Problem {
  return new Problem({ status: 409, reason, detail, members });
}
