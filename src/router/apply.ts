/** Operations as a POP applies them: expressions on the linear-time engine. */
import { linearEngine } from './linear.ts';
import { type FieldsLike, operations, type RequestContext } from './ops.ts';
import type { RequestOp, ResponseOp } from './table.ts';
import type { Target, ValueSource } from './template.ts';

const linear = operations(linearEngine);

/** Applies request operations to `context.fields` in place; returns path and query for the next hop. */
export const applyRequestOps = (ops: readonly RequestOp[], context: RequestContext): Target =>
  linear.request(ops, context);

/** Applies response operations to `response` in place; embedded values come from the request in `context`. */
export const applyResponseOps = (
  ops: readonly ResponseOp[],
  response: FieldsLike,
  context: Omit<ValueSource, 'response'>,
): void => linear.response(ops, response, context);

export { answerPreflight } from './ops.ts';
