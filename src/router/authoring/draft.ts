/** One route while its handler is being recorded. */
import type {
  Action,
  CacheSettings,
  Criteria,
  JwtSettings,
  KeySettings,
  RequestOp,
  ResponseOp,
  Route,
} from '../table.ts';
import type { OpSink } from './op-builders.ts';

export class Draft implements OpSink {
  cache: CacheSettings | undefined;
  key: KeySettings | undefined;
  jwt: JwtSettings | undefined;
  action: Action | undefined;
  readonly requestOps: RequestOp[] = [];
  readonly upstreamResponseOps: ResponseOp[] = [];
  readonly responseOps: ResponseOp[] = [];

  request(op: RequestOp): void {
    this.requestOps.push(op);
  }
  upstreamResponse(op: ResponseOp): void {
    this.upstreamResponseOps.push(op);
  }
  response(op: ResponseOp): void {
    this.responseOps.push(op);
  }

  finish(
    known: Pick<Route, 'id' | 'source' | 'label'> & {
      criteria: Criteria | null;
      group?: string | undefined;
      file?: string | undefined;
      bodyKey?: boolean | undefined;
    },
  ): Route {
    const { id, source, label, group, file, criteria, bodyKey } = known;
    return {
      id,
      source,
      label,
      ...(group === undefined ? {} : { group }),
      ...(file === undefined ? {} : { file }),
      criteria,
      ...(this.jwt ? { jwt: this.jwt } : {}),
      ...(this.cache ? { cache: this.cache } : {}),
      ...(this.key ? { key: this.key } : {}),
      ...(bodyKey ? { bodyKey } : {}),
      requestOps: this.requestOps,
      upstreamResponseOps: this.upstreamResponseOps,
      responseOps: this.responseOps,
      ...(this.action ? { action: this.action } : {}),
    };
  }
}
