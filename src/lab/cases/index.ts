/** One table says it all: every cause that the platform knows, how it is provoked, and who has to see it. */
import type { LabCase } from '../case.ts';
import { COMPUTE } from './compute.ts';
import { ENTRY } from './entry.ts';
import { LINK } from './link.ts';
import { READINESS, ROUTES } from './routes.ts';
import { UPSTREAM_HTTP } from './upstream-http.ts';
import { UPSTREAM_REACH } from './upstream-reach.ts';
import { UPSTREAM_TLS } from './upstream-tls.ts';

export const CASES: readonly LabCase[] = [
  ...ENTRY,
  ...ROUTES,
  ...UPSTREAM_REACH,
  ...UPSTREAM_TLS,
  ...UPSTREAM_HTTP,
  ...COMPUTE,
  ...LINK,
  ...READINESS,
];
