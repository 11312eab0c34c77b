/** What stands behind `GET /v1/logs`: the log files of this machine, as the control plane asks for them. */
import type { LogSource } from '../../control/logs.ts';
import { compileFilter } from '../../telemetry/filter.ts';
import { tailLogs } from '../../telemetry/tail.ts';

/** A filter that cannot be used throws at once, before there is anything to iterate. */
export function logFiles(directory: string): LogSource {
  return ({ follow, kinds, last, filter }, signal) => {
    compileFilter(filter);
    const optional = { ...(kinds ? { kinds } : {}), ...(last === undefined ? {} : { last }) };
    return records(tailLogs({ directory, follow, filter, signal, ...optional }));
  };
}

async function* records(entries: ReturnType<typeof tailLogs>): AsyncGenerator<unknown> {
  for await (const { record } of entries) yield record;
}
