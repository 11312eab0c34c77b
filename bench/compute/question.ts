import type { Question } from '../lib/question.ts';

export const compute: Question = {
  name: 'compute',
  path: '/compute',
  bytes: 13,
  connections: 8,
  peer: 'nginx and node:http',
};
